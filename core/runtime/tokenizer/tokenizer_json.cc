#include "core/runtime/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/utf8.h"
#include "core/io/byte_reader.h"
#include "core/io/json_file.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/merge_bpe.h"
#include "core/runtime/tokenizer/metaspace.h"
#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/tokenizer_json_steps.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

using nlohmann::json;

const json kNull;

const json& field_or_null(const json& object, std::string_view name) {
  const json* found = json_find(object, name);
  return found == nullptr ? kNull : *found;
}

// What a token id may be at most: ids have gaps, but not such that a few entries make a huge table.
std::size_t id_limit(std::size_t num_tokens) {
  return num_tokens * 8 + 65536;
}

class Loader {
 public:
  Loader(const json& root, const json& config, const TokenizerJsonOptions& options)
      : root_(root), config_(config), path_(options.path), more_ends_(options.end_of_generation) {}

  Result<std::unique_ptr<Tokenizer>> load() {
    MLXR_RETURN_IF_ERROR(check_kind());
    MLXR_ASSIGN_OR_RETURN(parts_.normalizer, parse_normalizer(field_or_null(root_, "normalizer"), path_));
    MLXR_ASSIGN_OR_RETURN(pre_tokenizer_, parse_pre_tokenizer(field_or_null(root_, "pre_tokenizer"), path_));
    MLXR_ASSIGN_OR_RETURN(decoder_, parse_decoder(field_or_null(root_, "decoder"), path_));
    MLXR_RETURN_IF_ERROR(read_model_options());
    MLXR_RETURN_IF_ERROR(read_vocabulary());
    MLXR_RETURN_IF_ERROR(read_added_tokens());
    finish_tokens();
    MLXR_RETURN_IF_ERROR(read_merges());
    MLXR_RETURN_IF_ERROR(finish_added_tokens());
    finish_pre_tokenizer();
    MLXR_RETURN_IF_ERROR(read_special());
    MLXR_RETURN_IF_ERROR(read_surroundings());
    return std::make_unique<Tokenizer>(std::move(parts_));
  }

 private:
  Status check_kind() {
    if (!root_.is_object()) return corrupt(path_ + ": not a JSON object");
    const json* model = json_find(root_, "model");
    if (model == nullptr || !model->is_object()) return corrupt(path_ + ": no \"model\"");
    model_ = model;
    // The oldest files do not name the type.
    MLXR_ASSIGN_OR_RETURN(const std::string type,
                          json_string_or(*model, "type", model->contains("merges") ? "BPE" : "", path_));
    if (type != "BPE")
      return unsupported(fmt::format("{}: tokenizer model of type {} is not supported", path_, quote_name(type)));
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      MLXR_ASSIGN_OR_RETURN(const std::string affix, json_string_or(*model, name, "", path_));
      if (!affix.empty()) return unsupported(fmt::format("{}: BPE with a {} is not supported", path_, name));
    }
    return {};
  }

  Status read_model_options() {
    byte_level_ = pre_tokenizer_.byte_level;
    if (!byte_level_ && decoder_.byte_level)
      return unsupported(path_ + ": a ByteLevel decoder without a ByteLevel pre-tokenizer is not supported");
    parts_.kind = byte_level_ ? TokenizerKind::kByteLevelBpe : TokenizerKind::kCharacterBpe;
    if (!byte_level_ && decoder_.strip_leading_space) parts_.leading_space = LeadingSpace::kDropOne;
    options_.byte_level = byte_level_;
    MLXR_ASSIGN_OR_RETURN(options_.ignore_merges, json_bool_or(*model_, "ignore_merges", false, path_));
    MLXR_ASSIGN_OR_RETURN(options_.byte_fallback, json_bool_or(*model_, "byte_fallback", false, path_));
    MLXR_ASSIGN_OR_RETURN(options_.fuse_unknown, json_bool_or(*model_, "fuse_unk", false, path_));
    MLXR_ASSIGN_OR_RETURN(unknown_, json_string_or(*model_, "unk_token", "", path_));
    return {};
  }

  Result<TokenId> checked_id(const json& value, std::string_view token) const {
    const bool whole = value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
    if (!whole) return corrupt(fmt::format("{}: the id of token {} is not a whole number", path_, quote_name(token)));
    const auto id = value.get<std::uint64_t>();
    if (id >= id_limit_)
      return corrupt(
          fmt::format("{}: token {} has id {}, out of proportion to the vocabulary", path_, quote_name(token), id));
    return static_cast<TokenId>(id);
  }

  Token& token_slot(TokenId id) {
    const auto at = static_cast<std::size_t>(id);
    if (at >= tokens_.size()) {
      tokens_.resize(at + 1);
      members_.resize(at + 1, false);
      recognised_.resize(at + 1, false);
    }
    return tokens_[at];
  }

  Status read_vocabulary() {
    const json* vocab = json_find(*model_, "vocab");
    if (vocab == nullptr || !vocab->is_object()) return corrupt(path_ + ": the model's \"vocab\" is not an object");
    const json& added = field_or_null(root_, "added_tokens");
    id_limit_ = id_limit(vocab->size() + added.size());
    for (const auto& [piece, value] : vocab->items()) {
      MLXR_ASSIGN_OR_RETURN(const TokenId id, checked_id(value, piece));
      Token& token = token_slot(id);
      if (members_[static_cast<std::size_t>(id)]) {
        return corrupt(fmt::format("{}: tokens {} and {} have the same id {}", path_, quote_name(token.piece),
                                   quote_name(piece), id));
      }
      token.piece = piece;
      members_[static_cast<std::size_t>(id)] = true;
    }
    if (tokens_.empty()) return corrupt(path_ + ": the vocabulary is empty");
    return {};
  }

  Result<AddedToken> parse_added_token(const json& item) const {
    AddedToken out;
    MLXR_ASSIGN_OR_RETURN(out.content, json_string(item, "content", path_));
    MLXR_ASSIGN_OR_RETURN(out.id, checked_id(field_or_null(item, "id"), out.content));
    MLXR_ASSIGN_OR_RETURN(out.special, json_bool_or(item, "special", false, path_));
    MLXR_ASSIGN_OR_RETURN(out.lstrip, json_bool_or(item, "lstrip", false, path_));
    MLXR_ASSIGN_OR_RETURN(out.rstrip, json_bool_or(item, "rstrip", false, path_));
    MLXR_ASSIGN_OR_RETURN(out.single_word, json_bool_or(item, "single_word", false, path_));
    MLXR_ASSIGN_OR_RETURN(out.normalized, json_bool_or(item, "normalized", !out.special, path_));
    return out;
  }

  Status read_added_tokens() {
    const json& list = field_or_null(root_, "added_tokens");
    if (list.is_null()) return {};
    if (!list.is_array()) return corrupt(path_ + ": \"added_tokens\" is not a list");
    const json& vocab = *json_find(*model_, "vocab");
    for (const json& item : list) {
      MLXR_ASSIGN_OR_RETURN(AddedToken token, parse_added_token(item));
      // A content that the model itself knows keeps the model's id.
      if (const auto known = vocab.find(token.content); known != vocab.end())
        token.id = static_cast<TokenId>(known->get<std::uint64_t>());
      Token& slot = token_slot(token.id);
      const auto at = static_cast<std::size_t>(token.id);
      if (!slot.piece.empty() && slot.piece != token.content) {
        return corrupt(fmt::format("{}: tokens {} and {} have the same id {}", path_, quote_name(slot.piece),
                                   quote_name(token.content), token.id));
      }
      slot.piece = token.content;
      slot.type = token.special ? TokenType::kControl : TokenType::kUserDefined;
      recognised_[at] = true;
      added_.push_back(std::move(token));
    }
    return {};
  }

  // Bytes and types by spelling.
  void finish_tokens() {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      Token& token = tokens_[i];
      if (token.piece.empty()) {
        token.type = TokenType::kUnused;
        continue;
      }
      if (byte_level_) {
        token.bytes = from_byte_alphabet(token.piece).value_or(token.piece);
        continue;
      }
      const auto byte = options_.byte_fallback && !recognised_[i] ? parse_byte_piece(token.piece) : std::nullopt;
      if (byte) {
        token.type = TokenType::kByte;
        token.bytes = std::string(1, static_cast<char>(*byte));
      } else {
        token.bytes =
            decoder_.metaspace && token.type != TokenType::kControl ? metaspace_to_space(token.piece) : token.piece;
      }
    }
    if (byte_level_) {
      // A word that the alphabet does not spell is out of reach of the model.
      for (std::size_t i = 0; i < tokens_.size(); ++i) {
        if (members_[i] && !from_byte_alphabet(tokens_[i].piece)) members_[i] = false;
      }
    }
    parts_.vocabulary = std::make_unique<const Vocabulary>(std::move(tokens_));
    if (!unknown_.empty()) options_.unknown = parts_.vocabulary->find_piece(unknown_);
  }

  Result<TokenId> merge_part(std::string_view piece, std::size_t index) const {
    const TokenId id = parts_.vocabulary->find_piece(piece);
    if (id == kNoToken)
      return corrupt(fmt::format("{}: merge {}: {} is not in the vocabulary", path_, index, quote_name(piece)));
    return id;
  }

  Result<Merge> parse_merge(const json& item, std::size_t index) const {
    std::string left;
    std::string right;
    if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      left = item[0].get<std::string>();
      right = item[1].get<std::string>();
    } else if (item.is_string()) {
      const auto& text = item.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space == std::string::npos) return corrupt(fmt::format("{}: merge {} is not a pair", path_, index));
      left = text.substr(0, space);
      right = text.substr(space + 1);
    } else {
      return corrupt(fmt::format("{}: merge {} is not a pair", path_, index));
    }
    Merge merge;
    MLXR_ASSIGN_OR_RETURN(merge.left, merge_part(left, index));
    MLXR_ASSIGN_OR_RETURN(merge.right, merge_part(right, index));
    MLXR_ASSIGN_OR_RETURN(merge.result, merge_part(left + right, index));
    return merge;
  }

  Status read_merges() {
    const json* list = json_find(*model_, "merges");
    if (list == nullptr || !list->is_array()) return corrupt(path_ + ": the model's \"merges\" is not a list");
    std::vector<Merge> merges;
    merges.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
      MLXR_ASSIGN_OR_RETURN(const Merge merge, parse_merge((*list)[i], i));
      merges.push_back(merge);
    }
    parts_.model = std::make_unique<MergeBpe>(*parts_.vocabulary, members_, std::move(merges), options_);
    return {};
  }

  Status finish_added_tokens() {
    const Status built = parts_.added.build(std::move(added_), [&](std::string_view text) {
      return is_valid_utf8(text) ? parts_.normalizer.apply(text) : std::string(text);
    });
    return built.ok() ? built : built.with_context(path_);
  }

  void finish_pre_tokenizer() {
    // With U+2581 inside of no token no merge crosses a word's start: words can be cut there and encoded one by one.
    if (!byte_level_ && pre_tokenizer_.steps.empty() && words_start_with_metaspace(*parts_.vocabulary)) {
      PreTokenizerStep step;
      step.kind = PreTokenizerStep::Kind::kWordStarts;
      pre_tokenizer_.steps.push_back(std::move(step));
    }
    parts_.pre_tokenizer = PreTokenizer(std::move(pre_tokenizer_.steps));
    if (byte_level_) parts_.pre_name = pre_tokenizer_name(parts_.pre_tokenizer, options_.ignore_merges);
  }

  // "bos_token": "<s>" or {"content": "<s>", ...}
  void read_special_token(const char* name, std::optional<TokenId>& slot) const {
    const json* value = json_find(config_, name);
    if (value != nullptr && value->is_object()) value = json_find(*value, "content");
    if (value == nullptr || !value->is_string()) return;
    const TokenId id = parts_.vocabulary->find_piece(value->get_ref<const std::string&>());
    if (id != kNoToken) slot = id;
  }

  Status read_special() {
    SpecialTokens& special = parts_.special;
    read_special_token("bos_token", special.bos);
    read_special_token("eos_token", special.eos);
    read_special_token("unk_token", special.unk);
    read_special_token("pad_token", special.pad);
    read_special_token("sep_token", special.sep);
    read_special_token("cls_token", special.cls);
    read_special_token("mask_token", special.mask);
    if (!special.unk && options_.unknown != kNoToken) special.unk = options_.unknown;
    return {};
  }

  // What add_special puts around a text.
  Status read_surroundings() {
    MLXR_ASSIGN_OR_RETURN(ParsedPostProcessor post,
                          parse_post_processor(field_or_null(root_, "post_processor"), path_));
    for (const std::vector<TokenId>* ids : {&post.prefix, &post.suffix}) {
      for (const TokenId id : *ids) {
        if (!parts_.vocabulary->contains(id))
          return corrupt(fmt::format("{}: the post-processor's token {} is not in the vocabulary", path_, id));
      }
    }
    parts_.prefix = std::move(post.prefix);
    parts_.suffix = std::move(post.suffix);
    SpecialTokens& special = parts_.special;
    // Classes of the Llama family build their template from two fields of the configuration.
    const json& name = field_or_null(config_, "tokenizer_class");
    const bool from_config = name.is_string() && (name.get_ref<const std::string&>().starts_with("Llama") ||
                                                  name.get_ref<const std::string&>().starts_with("CodeLlama") ||
                                                  name.get_ref<const std::string&>().starts_with("Gemma"));
    if (from_config) {
      MLXR_RETURN_IF_ERROR(apply_flag("add_bos_token", special.bos, parts_.prefix));
      MLXR_RETURN_IF_ERROR(apply_flag("add_eos_token", special.eos, parts_.suffix));
    }
    if (!special.bos && !parts_.prefix.empty()) special.bos = parts_.prefix.front();
    complete_special_tokens(*parts_.vocabulary, recognised_, special);
    for (const TokenId id : more_ends_) {
      if (parts_.vocabulary->contains(id)) add_end_of_generation(special, id);
    }
    return {};
  }

  Status apply_flag(const char* name, std::optional<TokenId> token, std::vector<TokenId>& around) const {
    if (json_find(config_, name) == nullptr) return {};
    MLXR_ASSIGN_OR_RETURN(const bool wanted, json_bool(config_, name, "tokenizer_config.json"));
    if (wanted && token) around = {*token};
    if (!wanted) around.clear();
    return {};
  }

  const json& root_;
  const json& config_;
  const std::string& path_;
  const std::vector<TokenId>& more_ends_;
  const json* model_ = nullptr;
  std::size_t id_limit_ = 0;
  bool byte_level_ = false;
  std::string unknown_;
  MergeBpeOptions options_;
  ParsedPreTokenizer pre_tokenizer_;
  ParsedDecoder decoder_;
  std::vector<Token> tokens_;
  std::vector<bool> members_;     // of the model's vocabulary
  std::vector<bool> recognised_;  // found as a whole before the model
  std::vector<AddedToken> added_;
  TokenizerParts parts_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(const json& tokenizer, const json& config,
                                                       const TokenizerJsonOptions& options) {
  return Loader(tokenizer, config, options).load();
}

}  // namespace mlxr
