#include "core/runtime/tokenizer/tokenizer_to_json.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/utf8.h"
#include "core/runtime/tokenizer/merge_bpe.h"
#include "core/runtime/tokenizer/metaspace.h"
#include "core/runtime/tokenizer/rank_bpe.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

using nlohmann::json;

json normal_form(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc:
      return {{"type", "NFC"}};
    case NormalForm::kNfd:
      return {{"type", "NFD"}};
    case NormalForm::kNfkc:
      return {{"type", "NFKC"}};
    case NormalForm::kNfkd:
      return {{"type", "NFKD"}};
  }
  return nullptr;
}

json normalizer_step(const NormalizerStep& step) {
  switch (step.kind) {
    case NormalizerStep::Kind::kForm:
      return normal_form(step.form);
    case NormalizerStep::Kind::kLowercase:
      return {{"type", "Lowercase"}};
    case NormalizerStep::Kind::kReplaceText:
      return {{"type", "Replace"}, {"pattern", {{"String", step.from}}}, {"content", step.to}};
    case NormalizerStep::Kind::kReplacePattern:
      return {{"type", "Replace"}, {"pattern", {{"Regex", step.regex->pattern()}}}, {"content", step.to}};
    case NormalizerStep::Kind::kPrepend:
      return {{"type", "Prepend"}, {"prepend", step.to}};
    case NormalizerStep::Kind::kStrip:
      return {{"type", "Strip"}, {"strip_left", step.left}, {"strip_right", step.right}};
    case NormalizerStep::Kind::kCollapseSpaces:
      // Two steps there: spaces at the ends, then runs.
      return {{"type", "Sequence"},
              {"normalizers",
               {{{"type", "Replace"}, {"pattern", {{"Regex", "\\A +|[ \\x{2581}]+\\z"}}}, {"content", ""}},
                {{"type", "Replace"}, {"pattern", {{"Regex", " +"}}}, {"content", " "}}}}};
  }
  return nullptr;
}

json normalizer(const Normalizer& steps) {
  if (steps.empty()) return nullptr;
  json list = json::array();
  for (const NormalizerStep& step : steps.steps())
    list.push_back(normalizer_step(step));
  return {{"type", "Sequence"}, {"normalizers", std::move(list)}};
}

const char* behavior_name(SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      return "Removed";
    case SplitBehavior::kIsolated:
      return "Isolated";
    case SplitBehavior::kMergedWithPrevious:
      return "MergedWithPrevious";
    case SplitBehavior::kMergedWithNext:
      return "MergedWithNext";
    case SplitBehavior::kContiguous:
      return "Contiguous";
  }
  return "";
}

struct ByteLevelFlags {
  bool prefix = false;
  bool split = false;
};

json byte_level(const ByteLevelFlags& flags) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", flags.prefix}, {"trim_offsets", true}, {"use_regex", flags.split}};
}

json metaspace(const PreTokenizerStep& step) {
  const char* scheme = "always";
  if (step.prepend == PreTokenizerStep::Prepend::kFirst) scheme = "first";
  if (step.prepend == PreTokenizerStep::Prepend::kNever) scheme = "never";
  return {{"type", "Metaspace"}, {"replacement", kSpaceMark}, {"prepend_scheme", scheme}, {"split", step.split}};
}

bool is_gpt2_split(const PreTokenizerStep& step) {
  return step.kind == PreTokenizerStep::Kind::kSplit && step.behavior == SplitBehavior::kIsolated && !step.invert &&
         step.regex->pattern() == kGpt2Pattern;
}

json pre_tokenizer(const TokenizerParts& parts, bool bytes) {
  const std::vector<PreTokenizerStep>& steps = parts.pre_tokenizer.steps();
  json list = json::array();
  bool in_alphabet = false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const PreTokenizerStep& step = steps[i];
    switch (step.kind) {
      case PreTokenizerStep::Kind::kSplit:
        list.push_back({{"type", "Split"},
                        {"pattern", {{"Regex", step.regex->pattern()}}},
                        {"behavior", behavior_name(step.behavior)},
                        {"invert", step.invert}});
        break;
      case PreTokenizerStep::Kind::kByteAlphabet:
        if (!in_alphabet) list.push_back(byte_level({}));
        in_alphabet = true;
        break;
      case PreTokenizerStep::Kind::kPrefixSpace: {
        // ByteLevel does three things at once: the space, GPT-2's split, the alphabet.
        const bool split = i + 1 < steps.size() && is_gpt2_split(steps[i + 1]);
        list.push_back(byte_level({.prefix = true, .split = split}));
        in_alphabet = true;
        if (split) ++i;
        break;
      }
      case PreTokenizerStep::Kind::kMetaspace:
        list.push_back(metaspace(step));
        break;
      case PreTokenizerStep::Kind::kWordStarts:
        break;  // changes no token
    }
  }
  if (bytes && !in_alphabet) list.push_back(byte_level({}));
  if (list.empty()) return nullptr;
  return {{"type", "Sequence"}, {"pretokenizers", std::move(list)}};
}

json decoder(const TokenizerParts& parts, bool bytes) {
  if (bytes) return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json list = json::array({{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                           {{"type", "ByteFallback"}},
                           {{"type", "Fuse"}}});
  if (parts.leading_space != LeadingSpace::kKeep)
    list.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", std::move(list)}};
}

json post_processor(const TokenizerParts& parts) {
  if (parts.prefix.empty() && parts.suffix.empty()) return nullptr;
  json single = json::array();
  json tokens = json::object();
  const auto add = [&](TokenId id) {
    const std::string& piece = parts.vocabulary->token(id).piece;
    single.push_back({{"SpecialToken", {{"id", piece}, {"type_id", 0}}}});
    tokens[piece] = {{"id", piece}, {"ids", {id}}, {"tokens", {piece}}};
  };
  for (const TokenId id : parts.prefix)
    add(id);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const TokenId id : parts.suffix)
    add(id);
  json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(tokens)}};
}

// Every way to cut a ranked token into two tokens is a merge of its rank. Bytes or spellings, as the model has them.
std::vector<std::pair<TokenId, TokenId>> merges_of(const Vocabulary& vocabulary, const RankBpe& model) {
  const bool bytes = model.options().from_bytes;
  std::vector<std::tuple<std::uint32_t, TokenId, TokenId, TokenId>> found;
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (model.rank(id) == kNoRank) continue;
    const std::string_view text = bytes ? vocabulary.token(id).bytes : vocabulary.token(id).piece;
    for (std::size_t at = 1; at < text.size(); ++at) {
      const TokenId left = model.find(text.substr(0, at));
      const TokenId right = left == kNoToken ? kNoToken : model.find(text.substr(at));
      if (right != kNoToken) found.emplace_back(model.rank(id), left, right, id);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::pair<TokenId, TokenId>> out;
  out.reserve(found.size());
  for (const auto& [rank, left, right, id] : found)
    out.emplace_back(left, right);
  return out;
}

json model(const TokenizerParts& parts, bool bytes) {
  const Vocabulary& vocabulary = *parts.vocabulary;
  json merges = json::array();
  json out = {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", !bytes},
              {"byte_fallback", false},
              {"ignore_merges", false}};
  TokenId unknown = kNoToken;
  const auto add = [&](TokenId left, TokenId right) {
    merges.push_back({vocabulary.token(left).piece, vocabulary.token(right).piece});
  };
  if (const auto* by_merges = dynamic_cast<const MergeBpe*>(parts.model.get())) {
    for (const Merge& merge : by_merges->merges())
      add(merge.left, merge.right);
    out["ignore_merges"] = by_merges->options().ignore_merges;
    out["fuse_unk"] = by_merges->options().fuse_unknown;
    unknown = by_merges->options().unknown;
  } else if (const auto* by_rank = dynamic_cast<const RankBpe*>(parts.model.get())) {
    for (const auto& [left, right] : merges_of(vocabulary, *by_rank))
      add(left, right);
    out["ignore_merges"] = by_rank->options().whole_piece;
    unknown = by_rank->options().unknown;
  }
  json vocab = json::object();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const Token& token = vocabulary.token(static_cast<TokenId>(i));
    if (token.piece.empty()) continue;
    if (token.type == TokenType::kByte) out["byte_fallback"] = true;
    vocab.emplace(token.piece, i);
  }
  if (vocabulary.contains(unknown)) out["unk_token"] = vocabulary.token(unknown).piece;
  out["vocab"] = std::move(vocab);
  out["merges"] = std::move(merges);
  return out;
}

json added_tokens(const TokenizerParts& parts) {
  std::vector<AddedToken> tokens = parts.added.tokens();
  std::sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  json out = json::array();
  for (const AddedToken& token : tokens) {
    out.push_back({{"id", token.id},
                   {"content", token.content},
                   {"single_word", token.single_word},
                   {"lstrip", token.lstrip},
                   {"rstrip", token.rstrip},
                   // The content there is normalised again before it is looked for.
                   {"normalized", token.normalized && parts.kind != TokenizerKind::kSentencePiece},
                   {"special", token.special}});
  }
  return out;
}

// JSON is UTF-8; a vocabulary read from bytes need not be.
Status check_spelling(const Vocabulary& vocabulary) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    if (!is_valid_utf8(vocabulary.token(static_cast<TokenId>(i)).piece)) {
      return unsupported("token " + std::to_string(i) + " is not spelled in UTF-8");
    }
  }
  return {};
}

}  // namespace

Result<json> tokenizer_to_json(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const bool bytes = parts.kind == TokenizerKind::kByteLevelBpe || parts.kind == TokenizerKind::kTiktoken;
  MLXR_RETURN_IF_ERROR(check_spelling(*parts.vocabulary));
  return json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", added_tokens(parts)},
              {"normalizer", normalizer(parts.normalizer)},
              {"pre_tokenizer", pre_tokenizer(parts, bytes)},
              {"post_processor", post_processor(parts)},
              {"decoder", decoder(parts, bytes)},
              {"model", model(parts, bytes)}};
}

json tokenizer_config_json(const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  json out = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  const auto add = [&](const char* name, const std::optional<TokenId>& id) {
    if (id && is_valid_utf8(tokenizer.piece(*id))) out[name] = std::string(tokenizer.piece(*id));
  };
  add("bos_token", special.bos);
  add("eos_token", special.eos);
  add("unk_token", special.unk);
  add("pad_token", special.pad);
  add("sep_token", special.sep);
  add("cls_token", special.cls);
  add("mask_token", special.mask);
  return out;
}

}  // namespace mlxr
