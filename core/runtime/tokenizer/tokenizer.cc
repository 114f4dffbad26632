#include "core/runtime/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/utf8.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/tokenizer_parts.h"

namespace mlxr {
namespace {

// Words repeat: the tokens of a piece seen before in the same text are copied from there. Direct-mapped, one entry a
// slot.
class PieceCache {
 public:
  explicit PieceCache(std::size_t text_bytes) : slots_(text_bytes < kMinText ? 0 : kSlots) {}

  // Encodes `piece`, which must stay where it is until the next call of forget().
  void encode(const TokenModel& model, std::string_view piece, std::vector<TokenId>& out) {
    if (slots_.empty() || piece.size() > kMaxPiece) return model.encode(piece, out);
    Slot& slot = slots_[std::hash<std::string_view>{}(piece) % kSlots];
    if (slot.count > 0 && slot.length == piece.size() && std::memcmp(slot.bytes, piece.data(), piece.size()) == 0) {
      for (std::size_t i = 0; i < slot.count; ++i)
        out.push_back(slot.tokens[i]);
      return;
    }
    const std::size_t before = out.size();
    model.encode(piece, out);
    const std::size_t count = out.size() - before;
    if (count == 0 || count > kMaxTokens) return;
    slot.length = static_cast<std::uint8_t>(piece.size());
    slot.count = static_cast<std::uint8_t>(count);
    std::memcpy(slot.bytes, piece.data(), piece.size());
    std::copy_n(out.begin() + static_cast<std::ptrdiff_t>(before), count, slot.tokens);
  }

 private:
  static constexpr std::size_t kMinText = 1024;  // a shorter text repeats too little
  static constexpr std::size_t kSlots = 4096;
  static constexpr std::size_t kMaxPiece = 30;
  static constexpr std::size_t kMaxTokens = 8;
  struct Slot {
    std::uint8_t length = 0;
    std::uint8_t count = 0;
    char bytes[kMaxPiece] = {};
    TokenId tokens[kMaxTokens] = {};
  };
  std::vector<Slot> slots_;
};

// One call of encode().
class Encoder {
 public:
  Encoder(const TokenizerParts& parts, const EncodeOptions& options, std::size_t text_bytes)
      : parts_(parts), options_(options), cache_(text_bytes), scratch_(parts.pre_tokenizer) {}

  void encode_text(std::string_view text, std::vector<TokenId>& out) {
    std::vector<Fragment> fragments;
    parts_.added.split(text, AddedTokens::Pass::kRaw, options_.parse_special, fragments);
    for (const Fragment& fragment : fragments) {
      if (fragment.token != kNoToken) {
        out.push_back(fragment.token);
      } else {
        encode_fragment(text.substr(fragment.range.begin, fragment.range.end - fragment.range.begin),
                        fragment.range.begin == 0, out);
      }
    }
  }

 private:
  // Where a stretch of valid text stands: at the start of the whole text, or after stray bytes.
  struct Place {
    bool first = false;
    bool continues = false;
  };

  // Text between added tokens: valid stretches go through the whole pipeline, stray bytes straight to the model.
  void encode_fragment(std::string_view text, bool first, std::vector<TokenId>& out) {
    bool continues = false;
    while (!text.empty()) {
      const std::size_t valid = valid_utf8_prefix(text);
      if (valid > 0) encode_valid(text.substr(0, valid), {.first = first, .continues = continues}, out);
      text.remove_prefix(valid);
      first = false;
      continues = true;
      std::size_t stray = 0;
      while (stray < text.size()) {
        const Utf8Char c = decode_utf8(text.substr(stray));
        if (c.state == Utf8State::kValid) break;
        stray += c.length;
      }
      if (stray > 0) parts_.model->encode(text.substr(0, stray), out);
      text.remove_prefix(stray);
    }
  }

  void encode_valid(std::string_view text, const Place& place, std::vector<TokenId>& out) {
    std::string normalized = parts_.normalizer.apply(text, place.continues);
    if (parts_.added.empty(AddedTokens::Pass::kNormalized))
      return encode_normalized(std::move(normalized), place.first, out);
    std::vector<Fragment> fragments;
    parts_.added.split(normalized, AddedTokens::Pass::kNormalized, options_.parse_special, fragments);
    for (const Fragment& fragment : fragments) {
      if (fragment.token != kNoToken) {
        out.push_back(fragment.token);
      } else {
        encode_normalized(normalized.substr(fragment.range.begin, fragment.range.end - fragment.range.begin),
                          place.first && fragment.range.begin == 0, out);
      }
    }
  }

  void encode_normalized(std::string text, bool first, std::vector<TokenId>& out) {
    const PreTokenizer::Pieces pieces = parts_.pre_tokenizer.apply(std::move(text), first, scratch_);
    for (const TextRange range : pieces.ranges) {
      const std::string_view piece = std::string_view(pieces.text).substr(range.begin, range.end - range.begin);
      if (pieces.in_byte_alphabet) {
        // Cuts fall between characters of the alphabet, so that a piece always has bytes.
        const auto bytes = from_byte_alphabet(piece);
        MLXR_CHECK(bytes.has_value(), "a piece is of the alphabet");
        cache_.encode(*parts_.model, *bytes, out);
      } else {
        cache_.encode(*parts_.model, piece, out);
      }
    }
  }

  const TokenizerParts& parts_;
  const EncodeOptions& options_;
  PieceCache cache_;
  PreTokenizer::Scratch scratch_;
};

}  // namespace

Tokenizer::Tokenizer(TokenizerParts parts) : parts_(std::make_unique<const TokenizerParts>(std::move(parts))) {
  MLXR_CHECK(parts_->vocabulary != nullptr && parts_->model != nullptr, "a tokenizer has a vocabulary and a model");
}

Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  out.reserve(text.size() / 3 + 8);
  if (options.add_special) out = parts_->prefix;
  Encoder(*parts_, options, text.size()).encode_text(text, out);
  if (options.add_special) out.insert(out.end(), parts_->suffix.begin(), parts_->suffix.end());
  return out;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, const DecodeOptions& options) const {
  std::string out;
  bool at_start = true;
  for (const TokenId id : tokens) {
    if (!parts_->vocabulary->contains(id)) continue;
    const std::string& bytes = parts_->vocabulary->token(id).bytes;
    if (!is_special(id)) {
      out += text_of(bytes, at_start);
    } else if (!options.skip_special) {
      out += bytes;
      at_start = false;
    }
  }
  return out;
}

std::string_view Tokenizer::text_of(std::string_view bytes, bool& at_start) const {
  if (!at_start) return bytes;
  switch (parts_->leading_space) {
    case LeadingSpace::kKeep:
      break;
    case LeadingSpace::kDropOne:
      if (bytes.starts_with(' ')) bytes.remove_prefix(1);
      break;
    case LeadingSpace::kDropAll:
      while (bytes.starts_with(' '))
        bytes.remove_prefix(1);
      at_start = bytes.empty();
      return bytes;
  }
  at_start = false;
  return bytes;
}

std::string Tokenizer::token_bytes(TokenId token) const {
  return parts_->vocabulary->contains(token) ? parts_->vocabulary->token(token).bytes : std::string();
}

std::string_view Tokenizer::piece(TokenId token) const {
  return parts_->vocabulary->contains(token) ? std::string_view(parts_->vocabulary->token(token).piece)
                                             : std::string_view();
}

std::optional<TokenId> Tokenizer::find_piece(std::string_view piece) const {
  const TokenId id = parts_->vocabulary->find_piece(piece);
  return id == kNoToken ? std::nullopt : std::optional<TokenId>(id);
}

std::size_t Tokenizer::vocab_size() const {
  return parts_->vocabulary->size();
}

bool Tokenizer::is_special(TokenId token) const {
  if (!parts_->vocabulary->contains(token)) return false;
  const TokenType type = parts_->vocabulary->token(token).type;
  return type == TokenType::kControl || type == TokenType::kUnknown;
}

bool Tokenizer::is_end_of_generation(TokenId token) const {
  const auto& ids = parts_->special.end_of_generation;
  return std::binary_search(ids.begin(), ids.end(), token);
}

const SpecialTokens& Tokenizer::special() const {
  return parts_->special;
}

bool Tokenizer::adds_bos() const {
  return parts_->special.bos &&
         std::find(parts_->prefix.begin(), parts_->prefix.end(), *parts_->special.bos) != parts_->prefix.end();
}

}  // namespace mlxr
