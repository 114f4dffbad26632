#include "core/runtime/tokenizer/sentencepiece.h"

#include <array>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "core/base/utf8.h"
#include "core/io/byte_reader.h"
#include "core/runtime/tokenizer/metaspace.h"
#include "core/runtime/tokenizer/protobuf.h"
#include "core/runtime/tokenizer/rank_bpe.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

// Fields of TrainerSpec and NormalizerSpec that matter here, with their defaults.
struct Options {
  std::int64_t model_type = 1;  // Unigram
  std::int32_t unk = 0;
  std::int32_t bos = 1;
  std::int32_t eos = 2;
  std::int32_t pad = -1;
  std::string_view unknown_surface = " \xE2\x81\x87 ";  // U+2047
  bool whitespace_as_suffix = false;
  std::string_view normalizer;
  std::size_t charsmap_bytes = 0;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

Result<Token> read_piece(ProtoReader reader) {
  Token token;
  while (!reader.done()) {
    MLXR_ASSIGN_OR_RETURN(const ProtoField field, reader.next());
    if (field.number == 1) token.piece = std::string(field.bytes);
    if (field.number == 2) token.score = field.as_float();
    if (field.number == 3) {
      if (field.value < 1 || field.value > 6)
        return corrupt(fmt::format("piece {} has the unknown type {}", quote_name(token.piece), field.value));
      token.type = static_cast<TokenType>(field.value);
    }
  }
  return token;
}

Status read_trainer(ProtoReader reader, Options& options) {
  while (!reader.done()) {
    MLXR_ASSIGN_OR_RETURN(const ProtoField field, reader.next());
    switch (field.number) {
      case 3:
        options.model_type = static_cast<std::int64_t>(field.value);
        break;
      case 24:
        options.whitespace_as_suffix = field.truth();
        break;
      case 40:
        options.unk = field.as_int32();
        break;
      case 41:
        options.bos = field.as_int32();
        break;
      case 42:
        options.eos = field.as_int32();
        break;
      case 43:
        options.pad = field.as_int32();
        break;
      case 44:
        options.unknown_surface = field.bytes;
        break;
      default:
        break;
    }
  }
  return {};
}

Status read_normalizer(ProtoReader reader, Options& options) {
  while (!reader.done()) {
    MLXR_ASSIGN_OR_RETURN(const ProtoField field, reader.next());
    switch (field.number) {
      case 1:
        options.normalizer = field.bytes;
        break;
      case 2:
        options.charsmap_bytes = field.bytes.size();
        break;
      case 3:
        options.add_dummy_prefix = field.truth();
        break;
      case 4:
        options.remove_extra_whitespaces = field.truth();
        break;
      case 5:
        options.escape_whitespaces = field.truth();
        break;
      default:
        break;
    }
  }
  return {};
}

Status check_supported(const Options& options) {
  constexpr std::array<const char*, 5> kTypes = {"?", "Unigram", "BPE", "word", "character"};
  if (options.model_type != 2) {
    const bool known = options.model_type > 0 && options.model_type < static_cast<std::int64_t>(kTypes.size());
    return unsupported(fmt::format("SentencePiece model of type {} is not supported",
                                   known ? kTypes[static_cast<std::size_t>(options.model_type)] : "?"));
  }
  if (options.charsmap_bytes > 0)
    return unsupported(fmt::format("SentencePiece normalizer {} is not supported", quote_name(options.normalizer)));
  if (options.whitespace_as_suffix) return unsupported("SentencePiece with white space as a suffix is not supported");
  if (!options.escape_whitespaces) return unsupported("SentencePiece without escaped white space is not supported");
  return {};
}

Result<SentencePieceSpec> read_model(std::span<const std::byte> bytes) {
  SentencePieceSpec spec;
  Options options;
  ProtoReader reader(as_text(bytes));
  while (!reader.done()) {
    MLXR_ASSIGN_OR_RETURN(const ProtoField field, reader.next());
    if (field.number > 3 || field.wire != ProtoField::Wire::kBytes) continue;
    const ProtoReader message(field.bytes, reader.offset_of(field));
    if (field.number == 1) {
      MLXR_ASSIGN_OR_RETURN(Token token, read_piece(message));
      spec.tokens.push_back(std::move(token));
    } else if (field.number == 2) {
      MLXR_RETURN_IF_ERROR(read_trainer(message, options));
    } else {
      MLXR_RETURN_IF_ERROR(read_normalizer(message, options));
    }
  }
  if (spec.tokens.empty()) return corrupt("no SentencePiece pieces");
  MLXR_RETURN_IF_ERROR(check_supported(options));
  spec.add_dummy_prefix = options.add_dummy_prefix;
  spec.remove_extra_whitespaces = options.remove_extra_whitespaces;
  spec.unknown_surface = std::string(options.unknown_surface);
  const auto id = [](std::int32_t value) { return value < 0 ? std::nullopt : std::optional<TokenId>(value); };
  spec.special.unk = id(options.unk);
  spec.special.bos = id(options.bos);
  spec.special.eos = id(options.eos);
  spec.special.pad = id(options.pad);
  return spec;
}

void fill_bytes(SentencePieceSpec& spec) {
  for (Token& token : spec.tokens) {
    const auto byte = token.type == TokenType::kByte ? parse_byte_piece(token.piece) : std::nullopt;
    if (byte) {
      token.bytes = std::string(1, static_cast<char>(*byte));
    } else if (token.type == TokenType::kUnknown && spec.unknown_surface) {
      token.bytes = *spec.unknown_surface;
    } else {
      token.bytes = token.type == TokenType::kControl ? token.piece : metaspace_to_space(token.piece);
    }
  }
}

Normalizer make_normalizer(const SentencePieceSpec& spec) {
  std::vector<NormalizerStep> steps;
  if (spec.remove_extra_whitespaces) {
    NormalizerStep step;
    step.kind = NormalizerStep::Kind::kCollapseSpaces;
    steps.push_back(std::move(step));
  }
  if (spec.add_dummy_prefix) {
    NormalizerStep step;
    step.kind = NormalizerStep::Kind::kPrepend;
    step.to = std::string(kSpaceMark);
    steps.push_back(std::move(step));
  }
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::kReplaceText;
  step.from = " ";
  step.to = std::string(kSpaceMark);
  steps.push_back(std::move(step));
  return Normalizer(std::move(steps));
}

// Control and unknown tokens are special; a user-defined one is found in the text or in the normalised text.
std::vector<AddedToken> added_tokens(const SentencePieceSpec& spec) {
  std::vector<AddedToken> out;
  for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
    const Token& token = spec.tokens[i];
    const bool special = token.type == TokenType::kControl || token.type == TokenType::kUnknown;
    if (!special && token.type != TokenType::kUserDefined) continue;
    AddedToken added;
    added.id = static_cast<TokenId>(i);
    added.content = token.piece;
    added.special = special;
    added.normalized = !special && !(spec.user_defined_first && token.piece.find(kSpaceMark) == std::string::npos);
    out.push_back(std::move(added));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_sentencepiece(SentencePieceSpec spec) {
  SpecialTokens& special = spec.special;
  for (std::optional<TokenId>* slot : {&special.bos, &special.eos, &special.unk, &special.pad}) {
    if (*slot && static_cast<std::size_t>(**slot) >= spec.tokens.size()) {
      return corrupt(fmt::format("special token {} is not one of the {} tokens", **slot, spec.tokens.size()));
    }
  }
  TokenizerParts parts;
  parts.kind = TokenizerKind::kSentencePiece;
  parts.normalizer = make_normalizer(spec);
  if (spec.add_dummy_prefix) parts.leading_space = LeadingSpace::kDropOne;
  if (spec.remove_extra_whitespaces) parts.leading_space = LeadingSpace::kDropAll;
  fill_bytes(spec);
  std::vector<AddedToken> added = added_tokens(spec);
  std::vector<bool> recognised(spec.tokens.size(), false);
  for (const AddedToken& token : added)
    recognised[static_cast<std::size_t>(token.id)] = true;
  parts.vocabulary = std::make_unique<const Vocabulary>(std::move(spec.tokens));
  MLXR_RETURN_IF_ERROR(parts.added.build(std::move(added), [](std::string_view text) { return std::string(text); }));
  if (words_start_with_metaspace(*parts.vocabulary)) {
    PreTokenizerStep step;
    step.kind = PreTokenizerStep::Kind::kWordStarts;
    parts.pre_tokenizer = PreTokenizer({std::move(step)});
  }
  RankBpeOptions options;
  options.unknown = special.unk.value_or(kNoToken);
  parts.model = std::make_unique<RankBpe>(*parts.vocabulary, ranks_by_score(*parts.vocabulary), options);
  if (spec.add_bos && special.bos) parts.prefix = {*special.bos};
  if (spec.add_eos && special.eos) parts.suffix = {*special.eos};
  complete_special_tokens(*parts.vocabulary, recognised, special);
  parts.special = std::move(special);
  return std::make_unique<Tokenizer>(std::move(parts));
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::span<const std::byte> bytes,
                                                                const std::string& path) {
  auto spec = read_model(bytes);
  if (!spec.ok()) return spec.status().with_context(path);
  auto made = make_sentencepiece(std::move(spec).value());
  if (!made.ok()) return made.status().with_context(path);
  return made;
}

}  // namespace mlxr
