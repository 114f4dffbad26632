#include "core/runtime/tokenizer/tokenizer_gguf.h"

#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/merge_bpe.h"
#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/rank_bpe.h"
#include "core/runtime/tokenizer/sentencepiece.h"
#include "core/runtime/tokenizer/special_token_keys.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kMerges = "tokenizer.ggml.merges";

class Loader {
 public:
  Loader(const Metadata& metadata, const TokenizerGgufOptions& options) : metadata_(metadata), pre_(options.pre) {}

  Result<std::unique_ptr<Tokenizer>> load() {
    if (!metadata_.contains(kModel)) return not_found(name() + "no tokenizer (no " + kModel + ")");
    MLXR_ASSIGN_OR_RETURN(const std::string_view model, metadata_.require_string(kModel));
    const bool byte_level = model == "gpt2";
    if (!byte_level && model != "llama")
      return unsupported(fmt::format("{}{} {} is not supported", name(), kModel, quote_name(model)));
    MLXR_RETURN_IF_ERROR(read_tokens());
    MLXR_RETURN_IF_ERROR(read_special_ids());
    return byte_level ? load_byte_level() : load_sentencepiece();
  }

 private:
  std::string name() const { return metadata_.source().empty() ? std::string() : metadata_.source() + ": "; }

  Status bad(const char* key, const std::string& what) const {
    return corrupt(fmt::format("{}{}: {}", name(), key, what));
  }

  Status read_tokens() {
    MLXR_ASSIGN_OR_RETURN(const std::span<const std::string_view> pieces, metadata_.require_strings(kTokens));
    if (pieces.empty()) return bad(kTokens, "empty");
    if (pieces.size() > static_cast<std::size_t>(std::numeric_limits<TokenId>::max())) return bad(kTokens, "too many");
    tokens_.resize(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i)
      tokens_[i].piece = std::string(pieces[i]);
    if (metadata_.contains(kTypes)) {
      MLXR_ASSIGN_OR_RETURN(const std::vector<std::int64_t> types, metadata_.require_ints(kTypes));
      if (types.size() != tokens_.size())
        return bad(kTypes, fmt::format("{} types for {} tokens", types.size(), tokens_.size()));
      for (std::size_t i = 0; i < types.size(); ++i) {
        // 0 is "undefined", which old converters wrote for plain tokens.
        if (types[i] < 0 || types[i] > 6)
          return bad(kTypes, fmt::format("token {} has the unknown type {}", i, types[i]));
        tokens_[i].type = types[i] == 0 ? TokenType::kNormal : static_cast<TokenType>(types[i]);
      }
    }
    if (metadata_.contains(kScores)) {
      MLXR_ASSIGN_OR_RETURN(const std::vector<float> scores, metadata_.require_floats(kScores));
      if (scores.size() != tokens_.size())
        return bad(kScores, fmt::format("{} scores for {} tokens", scores.size(), tokens_.size()));
      for (std::size_t i = 0; i < scores.size(); ++i)
        tokens_[i].score = scores[i];
    }
    return {};
  }

  Status read_special_ids() {
    for (const SpecialTokenKey& row : special_token_keys()) {
      if (!metadata_.contains(row.key)) continue;
      MLXR_ASSIGN_OR_RETURN(const std::int64_t id, metadata_.require_int(row.key));
      // Writers say "none" with a number that is no token.
      if (id >= 0 && static_cast<std::uint64_t>(id) < tokens_.size()) special_.*row.slot = static_cast<TokenId>(id);
    }
    return {};
  }

  Result<bool> flag(const char* key, bool fallback) const {
    if (!metadata_.contains(key)) return fallback;
    return metadata_.require_bool(key);
  }

  Status read_surroundings(bool add_bos, std::vector<TokenId>& prefix, std::vector<TokenId>& suffix) const {
    MLXR_ASSIGN_OR_RETURN(const bool bos, flag("tokenizer.ggml.add_bos_token", add_bos));
    MLXR_ASSIGN_OR_RETURN(const bool eos, flag("tokenizer.ggml.add_eos_token", false));
    if (bos && special_.bos) prefix = {*special_.bos};
    if (eos && special_.eos) suffix = {*special_.eos};
    return {};
  }

  Result<const PreTokenizerRow*> pre_tokenizer_row() {
    if (pre_.empty()) {
      pre_ = "default";
      if (metadata_.contains(kPre)) {
        MLXR_ASSIGN_OR_RETURN(const std::string_view pre, metadata_.require_string(kPre));
        pre_ = std::string(pre);
      }
    }
    const PreTokenizerRow* row = find_pre_tokenizer(pre_);
    if (row == nullptr)
      return unsupported(fmt::format("{}{}: pre-tokenizer {} is not supported", name(), kPre, quote_name(pre_)));
    return row;
  }

  Result<std::vector<Merge>> read_merges(const Vocabulary& vocabulary) const {
    MLXR_ASSIGN_OR_RETURN(const std::span<const std::string_view> pairs, metadata_.require_strings(kMerges));
    std::vector<Merge> merges;
    merges.reserve(pairs.size());
    std::string joined;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const std::size_t space = pairs[i].find(' ', 1);
      if (space == std::string_view::npos) return bad(kMerges, fmt::format("merge {} is not a pair", i));
      const std::string_view left = pairs[i].substr(0, space);
      const std::string_view right = pairs[i].substr(space + 1);
      joined.assign(left).append(right);
      const Merge merge{vocabulary.find_piece(left), vocabulary.find_piece(right), vocabulary.find_piece(joined)};
      // Vocabularies that were cut down keep merges of tokens that they no longer have.
      if (merge.left != kNoToken && merge.right != kNoToken && merge.result != kNoToken) merges.push_back(merge);
    }
    return merges;
  }

  Result<std::unique_ptr<Tokenizer>> load_byte_level() {
    MLXR_ASSIGN_OR_RETURN(const PreTokenizerRow* row, pre_tokenizer_row());
    TokenizerParts parts;
    std::vector<bool> members(tokens_.size(), false);
    std::vector<bool> recognised(tokens_.size(), false);
    std::vector<AddedToken> added;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      Token& token = tokens_[i];
      const bool special = token.type == TokenType::kControl || token.type == TokenType::kUnknown;
      if (special || token.type == TokenType::kUserDefined) {
        token.bytes = token.piece;
        recognised[i] = true;
        AddedToken entry;
        entry.id = static_cast<TokenId>(i);
        entry.content = token.piece;
        entry.special = special;
        added.push_back(std::move(entry));
        continue;
      }
      auto bytes = from_byte_alphabet(token.piece);
      members[i] = bytes.has_value() && token.type != TokenType::kUnused;
      token.bytes = std::move(bytes).value_or(token.piece);
    }
    parts.vocabulary = std::make_unique<const Vocabulary>(std::move(tokens_));
    const Status built = parts.added.build(std::move(added), [](std::string_view text) { return std::string(text); });
    if (!built.ok()) return bad(kTokens, built.message());
    MLXR_RETURN_IF_ERROR(make_model(*row, members, parts));
    parts.pre_tokenizer = make_pre_tokenizer(*row);
    parts.pre_name = pre_;
    MLXR_RETURN_IF_ERROR(read_surroundings(row->add_bos, parts.prefix, parts.suffix));
    complete_special_tokens(*parts.vocabulary, recognised, special_);
    parts.special = std::move(special_);
    return std::make_unique<Tokenizer>(std::move(parts));
  }

  Status make_model(const PreTokenizerRow& row, const std::vector<bool>& members, TokenizerParts& parts) const {
    // Files made of tiktoken vocabularies may come without merges: the ids are the ranks.
    if (!metadata_.contains(kMerges) && pre_ == "kimi-k2") {
      std::vector<std::uint32_t> ranks(members.size(), kNoRank);
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (members[i]) ranks[i] = static_cast<std::uint32_t>(i);
      }
      parts.kind = TokenizerKind::kTiktoken;
      parts.model = std::make_unique<RankBpe>(*parts.vocabulary, std::move(ranks),
                                              RankBpeOptions{.from_bytes = true, .whole_piece = true});
      return {};
    }
    MLXR_ASSIGN_OR_RETURN(std::vector<Merge> merges, read_merges(*parts.vocabulary));
    MergeBpeOptions options;
    options.ignore_merges = row.ignore_merges;
    parts.model = std::make_unique<MergeBpe>(*parts.vocabulary, members, std::move(merges), options);
    return {};
  }

  Result<std::unique_ptr<Tokenizer>> load_sentencepiece() {
    SentencePieceSpec spec;
    // Files of the first converters have no types: bytes are known by their spelling.
    if (!metadata_.contains(kTypes)) {
      for (Token& token : tokens_) {
        if (parse_byte_piece(token.piece)) token.type = TokenType::kByte;
      }
    }
    const auto fallback = [&](std::optional<TokenId>& slot, TokenId id) {
      if (!slot && static_cast<std::size_t>(id) < tokens_.size()) slot = id;
    };
    fallback(special_.unk, 0);
    fallback(special_.bos, 1);
    fallback(special_.eos, 2);
    if (!metadata_.contains(kTypes)) {
      for (const auto& id : {special_.bos, special_.eos}) {
        if (id) tokens_[static_cast<std::size_t>(*id)].type = TokenType::kControl;
      }
    }
    MLXR_ASSIGN_OR_RETURN(spec.add_dummy_prefix, flag("tokenizer.ggml.add_space_prefix", true));
    MLXR_ASSIGN_OR_RETURN(spec.remove_extra_whitespaces, flag("tokenizer.ggml.remove_extra_whitespaces", false));
    MLXR_ASSIGN_OR_RETURN(spec.add_bos, flag("tokenizer.ggml.add_bos_token", true));
    MLXR_ASSIGN_OR_RETURN(spec.add_eos, flag("tokenizer.ggml.add_eos_token", false));
    spec.user_defined_first = true;
    spec.tokens = std::move(tokens_);
    spec.special = std::move(special_);
    auto made = make_sentencepiece(std::move(spec));
    if (!made.ok() && !metadata_.source().empty()) return made.status().with_context(metadata_.source());
    return made;
  }

  const Metadata& metadata_;
  std::string pre_;
  std::vector<Token> tokens_;
  SpecialTokens special_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const Metadata& metadata, const TokenizerGgufOptions& options) {
  return Loader(metadata, options).load();
}

}  // namespace mlxr
