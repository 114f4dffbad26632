#pragma once
// Byte-pair encoding by a list of merges (Hugging Face "BPE", GGUF "gpt2"). A byte-level model starts from bytes; the
// other kind from characters, which fall back to "<0x41>" tokens or to the unknown token.
// Source: huggingface/tokenizers, models/bpe.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/tokenizer/token_model.h"

namespace mlxr {

struct Merge {
  TokenId left = kNoToken;
  TokenId right = kNoToken;
  TokenId result = kNoToken;
};

struct MergeBpeOptions {
  bool byte_level = true;
  bool ignore_merges = false;  // a piece that is a token as a whole is that token
  bool byte_fallback = false;
  bool fuse_unknown = false;
  TokenId unknown = kNoToken;  // kNoToken: characters without a token vanish
};

class MergeBpe final : public TokenModel {
 public:
  // `vocabulary` must outlive the model; `members` says which ids belong to the model itself (added tokens are found
  // before it). `merges` come in order of rank.
  MergeBpe(const Vocabulary& vocabulary, const std::vector<bool>& members, std::vector<Merge> merges,
           const MergeBpeOptions& options);

  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

  const std::vector<Merge>& merges() const { return merges_; }
  const MergeBpeOptions& options() const { return options_; }

 private:
  struct Slot {
    std::uint64_t pair = 0;
    std::uint32_t rank = 0;
    TokenId result = kNoToken;
  };

  const Slot* find(TokenId left, TokenId right) const;
  void insert(const Merge& merge, std::uint32_t rank);
  void start_from_bytes(std::string_view piece, std::vector<TokenId>& symbols) const;
  void start_from_characters(std::string_view piece, std::vector<TokenId>& symbols) const;

  MergeBpeOptions options_;
  std::vector<Merge> merges_;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
  TokenIndex words_;         // bytes -> token, for members only
  std::array<TokenId, 256> byte_tokens_{};
};

}  // namespace mlxr
