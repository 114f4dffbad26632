#include "core/runtime/tokenizer/tokenizer_json_steps.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/io/byte_reader.h"
#include "core/io/json_file.h"
#include "core/runtime/tokenizer/metaspace.h"

namespace mlxr {
namespace {

using nlohmann::json;

// \w+|[^\w\s]+ as Rust's regex crate means it: joiners are of words.
constexpr std::string_view kWordsPattern = R"([\w\x{200c}\x{200d}]+|[^\w\s\x{200c}\x{200d}]+)";

constexpr std::size_t kMaxSteps = 64;  // each costs a pass over every text

Status unknown_type(std::string_view what, const std::string& type, const std::string& path) {
  return unsupported(fmt::format("{}: {} of type {} is not supported", path, what, quote_name(type)));
}

Status too_many_steps(std::string_view what, const std::string& path) {
  return unsupported(fmt::format("{}: {} has more than {} steps", path, what, kMaxSteps));
}

// The list of a "Sequence".
Result<const json*> sequence(const json& field, std::string_view name, const std::string& path) {
  const json* list = json_find(field, name);
  if (list == nullptr || !list->is_array())
    return corrupt(fmt::format("{}: a Sequence lacks its list \"{}\"", path, name));
  return list;
}

// {"Regex": "..."} or {"String": "..."} as a pattern.
struct Pattern {
  std::string text;
  bool regex = false;
};

Result<Pattern> parse_pattern(const json& step, const std::string& path) {
  const json* pattern = json_find(step, "pattern");
  if (pattern != nullptr && pattern->is_string()) return Pattern{pattern->get<std::string>(), false};
  if (pattern == nullptr || !pattern->is_object()) return corrupt(path + ": a step lacks its \"pattern\"");
  const bool regex = pattern->contains("Regex");
  MLXR_ASSIGN_OR_RETURN(std::string text, json_string(*pattern, regex ? "Regex" : "String", path));
  return Pattern{std::move(text), regex};
}

Result<std::shared_ptr<const Regex>> compile(std::string_view pattern, const std::string& path) {
  auto regex = Regex::compile(pattern);
  if (!regex.ok()) return regex.status().with_context(path);
  return std::make_shared<const Regex>(std::move(regex).value());
}

std::string escape_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool word =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ' || (c & 0x80) != 0;
    if (!word) out += '\\';
    out += c;
  }
  return out;
}

// ---- normalizer

Status read_normalizer(const json& field, const std::string& path, std::vector<NormalizerStep>& out);

std::optional<NormalForm> normal_form(const std::string& type) {
  if (type == "NFC") return NormalForm::kNfc;
  if (type == "NFD") return NormalForm::kNfd;
  if (type == "NFKC") return NormalForm::kNfkc;
  if (type == "NFKD") return NormalForm::kNfkd;
  return std::nullopt;
}

Result<NormalizerStep> read_replace(const json& field, const std::string& path) {
  NormalizerStep step;
  MLXR_ASSIGN_OR_RETURN(const Pattern pattern, parse_pattern(field, path));
  MLXR_ASSIGN_OR_RETURN(step.to, json_string(field, "content", path));
  step.kind = pattern.regex ? NormalizerStep::Kind::kReplacePattern : NormalizerStep::Kind::kReplaceText;
  if (pattern.regex) {
    MLXR_ASSIGN_OR_RETURN(step.regex, compile(pattern.text, path));
  } else {
    step.from = pattern.text;
  }
  return step;
}

Result<NormalizerStep> read_normalizer_step(const json& field, const std::string& type, const std::string& path) {
  NormalizerStep step;
  if (const auto form = normal_form(type)) {
    step.form = *form;
  } else if (type == "Lowercase") {
    step.kind = NormalizerStep::Kind::kLowercase;
  } else if (type == "Replace") {
    return read_replace(field, path);
  } else if (type == "Prepend") {
    step.kind = NormalizerStep::Kind::kPrepend;
    MLXR_ASSIGN_OR_RETURN(step.to, json_string(field, "prepend", path));
  } else if (type == "Strip") {
    step.kind = NormalizerStep::Kind::kStrip;
    MLXR_ASSIGN_OR_RETURN(step.left, json_bool_or(field, "strip_left", true, path));
    MLXR_ASSIGN_OR_RETURN(step.right, json_bool_or(field, "strip_right", true, path));
  } else {
    return unknown_type("normalizer", type, path);
  }
  return step;
}

Status read_normalizer(const json& field, const std::string& path, std::vector<NormalizerStep>& out) {
  const Result<std::string> named = json_string(field, "type", path);
  if (!named.ok()) return named.status();
  const std::string& type = *named;
  if (type == "Sequence") {
    MLXR_ASSIGN_OR_RETURN(const json* list, sequence(field, "normalizers", path));
    for (const json& item : *list)
      MLXR_RETURN_IF_ERROR(read_normalizer(item, path, out));
    return {};
  }
  if (out.size() >= kMaxSteps) return too_many_steps("normalizer", path);
  MLXR_ASSIGN_OR_RETURN(NormalizerStep step, read_normalizer_step(field, type, path));
  out.push_back(std::move(step));
  return {};
}

// ---- pre-tokenizer

Result<SplitBehavior> parse_behavior(const json& field, const char* fallback, const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const std::string name, json_string_or(field, "behavior", fallback, path));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return corrupt(fmt::format("{}: unknown split behavior {}", path, quote_name(name)));
}

Result<PreTokenizerStep> split_at(std::string_view pattern, SplitBehavior behavior, const std::string& path) {
  PreTokenizerStep step;
  step.behavior = behavior;
  MLXR_ASSIGN_OR_RETURN(step.regex, compile(pattern, path));
  return step;
}

Result<PreTokenizerStep> read_split(const json& field, const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const Pattern pattern, parse_pattern(field, path));
  MLXR_ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(field, "Isolated", path));
  MLXR_ASSIGN_OR_RETURN(PreTokenizerStep step,
                        split_at(pattern.regex ? pattern.text : escape_regex(pattern.text), behavior, path));
  MLXR_ASSIGN_OR_RETURN(step.invert, json_bool_or(field, "invert", false, path));
  return step;
}

Result<PreTokenizerStep> read_metaspace(const json& field, const std::string& path) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kMetaspace;
  MLXR_ASSIGN_OR_RETURN(const std::string replacement,
                        json_string_or(field, "replacement", std::string(kSpaceMark), path));
  if (replacement != kSpaceMark)
    return unsupported(path + ": Metaspace with a replacement other than U+2581 is not supported");
  // Older files have add_prefix_space instead of prepend_scheme.
  MLXR_ASSIGN_OR_RETURN(const bool prefix, json_bool_or(field, "add_prefix_space", true, path));
  MLXR_ASSIGN_OR_RETURN(const std::string scheme,
                        json_string_or(field, "prepend_scheme", prefix ? "always" : "never", path));
  if (scheme == "always") {
    step.prepend = PreTokenizerStep::Prepend::kAlways;
  } else if (scheme == "first") {
    step.prepend = PreTokenizerStep::Prepend::kFirst;
  } else if (scheme == "never") {
    step.prepend = PreTokenizerStep::Prepend::kNever;
  } else {
    return corrupt(fmt::format("{}: unknown prepend_scheme {}", path, quote_name(scheme)));
  }
  MLXR_ASSIGN_OR_RETURN(step.split, json_bool_or(field, "split", true, path));
  return step;
}

Status read_byte_level(const json& field, const std::string& path, ParsedPreTokenizer& out) {
  MLXR_ASSIGN_OR_RETURN(const bool prefix, json_bool_or(field, "add_prefix_space", true, path));
  MLXR_ASSIGN_OR_RETURN(const bool use_regex, json_bool_or(field, "use_regex", true, path));
  if (out.byte_level) return unsupported(path + ": ByteLevel twice in one pre-tokenizer is not supported");
  out.byte_level = true;
  if (prefix) {
    PreTokenizerStep step;
    step.kind = PreTokenizerStep::Kind::kPrefixSpace;
    out.steps.push_back(std::move(step));
  }
  if (use_regex) {
    MLXR_ASSIGN_OR_RETURN(PreTokenizerStep step, split_at(kGpt2Pattern, SplitBehavior::kIsolated, path));
    out.steps.push_back(std::move(step));
  }
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kByteAlphabet;
  out.steps.push_back(std::move(step));
  return {};
}

Result<PreTokenizerStep> read_pre_tokenizer_step(const json& field, const std::string& type, const std::string& path) {
  if (type == "Split") return read_split(field, path);
  if (type == "Metaspace") return read_metaspace(field, path);
  if (type == "Digits") {
    MLXR_ASSIGN_OR_RETURN(const bool individual, json_bool_or(field, "individual_digits", false, path));
    return split_at(individual ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::kIsolated, path);
  }
  if (type == "Punctuation") {
    MLXR_ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(field, "Isolated", path));
    // A run of matches is one match of the repeated class.
    if (behavior == SplitBehavior::kContiguous)
      return split_at(R"re([\p{P}!-/:-@\[-`{-~]+)re", SplitBehavior::kIsolated, path);
    return split_at(R"re([\p{P}!-/:-@\[-`{-~])re", behavior, path);
  }
  if (type == "Whitespace") {
    MLXR_ASSIGN_OR_RETURN(PreTokenizerStep step, split_at(kWordsPattern, SplitBehavior::kRemoved, path));
    step.invert = true;
    return step;
  }
  if (type == "WhitespaceSplit") return split_at(R"(\s)", SplitBehavior::kRemoved, path);
  return unknown_type("pre-tokenizer", type, path);
}

Status read_pre_tokenizer(const json& field, const std::string& path, ParsedPreTokenizer& out) {
  const Result<std::string> named = json_string(field, "type", path);
  if (!named.ok()) return named.status();
  const std::string& type = *named;
  if (type == "Sequence") {
    MLXR_ASSIGN_OR_RETURN(const json* list, sequence(field, "pretokenizers", path));
    for (const json& item : *list)
      MLXR_RETURN_IF_ERROR(read_pre_tokenizer(item, path, out));
    return {};
  }
  if (out.steps.size() >= kMaxSteps) return too_many_steps("pre-tokenizer", path);
  if (type == "ByteLevel") return read_byte_level(field, path, out);
  MLXR_ASSIGN_OR_RETURN(PreTokenizerStep step, read_pre_tokenizer_step(field, type, path));
  out.steps.push_back(std::move(step));
  return {};
}

// ---- post-processor

Status append_template_ids(const json& field, const json& item, const std::string& path, std::vector<TokenId>& out) {
  MLXR_ASSIGN_OR_RETURN(const std::string name, json_string(item, "id", path));
  const json* tokens = json_find(field, "special_tokens");
  const json* token = tokens == nullptr ? nullptr : json_find(*tokens, name);
  if (token == nullptr)
    return corrupt(fmt::format("{}: the template's token {} is not declared", path, quote_name(name)));
  MLXR_ASSIGN_OR_RETURN(const std::vector<std::int64_t> ids, json_ints(*token, "ids", path));
  for (const std::int64_t id : ids) {
    const auto value = checked_cast<TokenId>(id);
    if (!value) return corrupt(fmt::format("{}: the template's token id {} is out of range", path, id));
    out.push_back(*value);
  }
  return {};
}

Status read_template(const json& field, const std::string& path, ParsedPostProcessor& out) {
  const json* single = json_find(field, "single");
  if (single == nullptr || !single->is_array())
    return corrupt(path + ": a TemplateProcessing lacks its list \"single\"");
  out.present = true;
  bool after_text = false;
  for (const json& item : *single) {
    if (json_find(item, "Sequence") != nullptr) {
      after_text = true;
    } else if (const json* token = json_find(item, "SpecialToken")) {
      MLXR_RETURN_IF_ERROR(append_template_ids(field, *token, path, after_text ? out.suffix : out.prefix));
    } else {
      return corrupt(path + ": an item of TemplateProcessing is neither Sequence nor SpecialToken");
    }
  }
  return {};
}

// ["<s>", 0] of BertProcessing and RobertaProcessing.
Status append_pair_id(const json& field, const char* name, const std::string& path, std::vector<TokenId>& out) {
  const json* pair = json_find(field, name);
  if (pair == nullptr || !pair->is_array() || pair->size() != 2 || !(*pair)[1].is_number_integer()) {
    return corrupt(fmt::format("{}: the post-processor's \"{}\" is not a token and its id", path, name));
  }
  const auto id = checked_cast<TokenId>((*pair)[1].get<std::int64_t>());
  if (!id) return corrupt(fmt::format("{}: the id of the post-processor's \"{}\" is out of range", path, name));
  out.push_back(*id);
  return {};
}

Status read_post_processor(const json& field, const std::string& path, ParsedPostProcessor& out) {
  const Result<std::string> named = json_string(field, "type", path);
  if (!named.ok()) return named.status();
  const std::string& type = *named;
  if (type == "Sequence") {
    MLXR_ASSIGN_OR_RETURN(const json* list, sequence(field, "processors", path));
    for (const json& item : *list)
      MLXR_RETURN_IF_ERROR(read_post_processor(item, path, out));
    return {};
  }
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing") return read_template(field, path, out);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    out.present = true;
    MLXR_RETURN_IF_ERROR(append_pair_id(field, "cls", path, out.prefix));
    return append_pair_id(field, "sep", path, out.suffix);
  }
  return unknown_type("post-processor", type, path);
}

// ---- decoder

Status read_decoder(const json& field, const std::string& path, ParsedDecoder& out) {
  const Result<std::string> named = json_string(field, "type", path);
  if (!named.ok()) return named.status();
  const std::string& type = *named;
  if (type == "Sequence") {
    MLXR_ASSIGN_OR_RETURN(const json* list, sequence(field, "decoders", path));
    for (const json& item : *list)
      MLXR_RETURN_IF_ERROR(read_decoder(item, path, out));
    return {};
  }
  if (type == "ByteLevel") {
    out.byte_level = true;
  } else if (type == "Metaspace") {
    out.metaspace = true;
    MLXR_ASSIGN_OR_RETURN(const bool prefix, json_bool_or(field, "add_prefix_space", true, path));
    MLXR_ASSIGN_OR_RETURN(const std::string scheme,
                          json_string_or(field, "prepend_scheme", prefix ? "always" : "never", path));
    out.strip_leading_space = scheme != "never";
  } else if (type == "Replace") {
    MLXR_ASSIGN_OR_RETURN(const Pattern pattern, parse_pattern(field, path));
    MLXR_ASSIGN_OR_RETURN(const std::string content, json_string(field, "content", path));
    if (pattern.text != kSpaceMark || content != " ")
      return unsupported(path + ": a Replace decoder other than U+2581 by a space is not supported");
    out.metaspace = true;
  } else if (type == "Strip") {
    MLXR_ASSIGN_OR_RETURN(const std::string content, json_string_or(field, "content", " ", path));
    MLXR_ASSIGN_OR_RETURN(const std::uint64_t start, json_uint_or(field, "start", 0, path));
    out.strip_leading_space = out.strip_leading_space || (content == " " && start > 0);
  } else if (type != "ByteFallback" && type != "Fuse") {
    return unknown_type("decoder", type, path);
  }
  return {};
}

}  // namespace

Result<Normalizer> parse_normalizer(const json& field, const std::string& path) {
  std::vector<NormalizerStep> steps;
  if (!field.is_null()) MLXR_RETURN_IF_ERROR(read_normalizer(field, path, steps));
  return Normalizer(std::move(steps));
}

Result<ParsedPreTokenizer> parse_pre_tokenizer(const json& field, const std::string& path) {
  ParsedPreTokenizer out;
  if (!field.is_null()) MLXR_RETURN_IF_ERROR(read_pre_tokenizer(field, path, out));
  // At the end the spelling would only be undone.
  if (!out.steps.empty() && out.steps.back().kind == PreTokenizerStep::Kind::kByteAlphabet) out.steps.pop_back();
  return out;
}

Result<ParsedPostProcessor> parse_post_processor(const json& field, const std::string& path) {
  ParsedPostProcessor out;
  if (!field.is_null()) MLXR_RETURN_IF_ERROR(read_post_processor(field, path, out));
  return out;
}

Result<ParsedDecoder> parse_decoder(const json& field, const std::string& path) {
  ParsedDecoder out;
  if (!field.is_null()) MLXR_RETURN_IF_ERROR(read_decoder(field, path, out));
  return out;
}

}  // namespace mlxr
