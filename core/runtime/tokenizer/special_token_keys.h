#pragma once
// Where GGUF keeps the ids of special tokens. Source: ggml-org/llama.cpp gguf-py/gguf/constants.py.

#include <optional>
#include <span>

#include "core/runtime/tokenizer/special_tokens.h"

namespace mlxr {

struct SpecialTokenKey {
  const char* key;
  std::optional<TokenId> SpecialTokens::*slot;
};

inline constexpr SpecialTokenKey kSpecialTokenKeys[] = {
    {"tokenizer.ggml.bos_token_id", &SpecialTokens::bos},
    {"tokenizer.ggml.eos_token_id", &SpecialTokens::eos},
    {"tokenizer.ggml.unknown_token_id", &SpecialTokens::unk},
    {"tokenizer.ggml.seperator_token_id", &SpecialTokens::sep},  // spelled so in the format
    {"tokenizer.ggml.padding_token_id", &SpecialTokens::pad},
    {"tokenizer.ggml.cls_token_id", &SpecialTokens::cls},
    {"tokenizer.ggml.mask_token_id", &SpecialTokens::mask},
    {"tokenizer.ggml.eot_token_id", &SpecialTokens::eot},
    {"tokenizer.ggml.eom_token_id", &SpecialTokens::eom},
    {"tokenizer.ggml.fim_pre_token_id", &SpecialTokens::fim_pre},
    {"tokenizer.ggml.fim_suf_token_id", &SpecialTokens::fim_suf},
    {"tokenizer.ggml.fim_mid_token_id", &SpecialTokens::fim_mid},
    {"tokenizer.ggml.fim_pad_token_id", &SpecialTokens::fim_pad},
    {"tokenizer.ggml.fim_rep_token_id", &SpecialTokens::fim_rep},
    {"tokenizer.ggml.fim_sep_token_id", &SpecialTokens::fim_sep},
};

inline std::span<const SpecialTokenKey> special_token_keys() {
  return kSpecialTokenKeys;
}

}  // namespace mlxr
