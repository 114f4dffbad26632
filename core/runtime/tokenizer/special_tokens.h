#pragma once
// The tokens that mean something to a conversation: start, end, padding, and all that end an answer.

#include <optional>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

struct SpecialTokens {
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> unk;
  std::optional<TokenId> sep;
  std::optional<TokenId> pad;
  std::optional<TokenId> cls;
  std::optional<TokenId> mask;
  std::optional<TokenId> eot;      // end of a turn ("<|im_end|>")
  std::optional<TokenId> eom;      // end of a message that expects a tool's answer ("<|eom_id|>")
  std::optional<TokenId> fim_pre;  // fill in the middle: prefix, suffix, middle, padding, repository, file separator
  std::optional<TokenId> fim_suf;
  std::optional<TokenId> fim_mid;
  std::optional<TokenId> fim_pad;
  std::optional<TokenId> fim_rep;
  std::optional<TokenId> fim_sep;
  std::vector<TokenId> end_of_generation;  // sorted: generation stops after any of these
};

// Fills what is still empty from the spellings that known models use, and end_of_generation from all of it. A spelling
// counts only where `recognised(id)` says that the token is found in a text as a whole.
void complete_special_tokens(const Vocabulary& vocabulary, const std::vector<bool>& recognised, SpecialTokens& special);

// Adds `id` to end_of_generation.
void add_end_of_generation(SpecialTokens& special, TokenId id);

}  // namespace mlxr
