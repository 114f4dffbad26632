#pragma once
// The pre-tokenizers that have a name in GGUF (tokenizer.ggml.pre). The rows are in pretokenizers.def.

#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/tokenizer/pretokenizer.h"

namespace mlxr {

struct PreTokenizerRow {
  std::string_view name;
  std::span<const std::string_view> patterns;
  bool ignore_merges = false;
  bool add_bos = false;
};

std::span<const PreTokenizerRow> pre_tokenizer_rows();

// nullptr for an unknown name.
const PreTokenizerRow* find_pre_tokenizer(std::string_view name);

// Splits at the row's patterns, matches isolated.
PreTokenizer make_pre_tokenizer(const PreTokenizerRow& row);

// The name of a row that cuts like `pre_tokenizer`, one with the same `ignore_merges` preferred; empty when none does.
std::string pre_tokenizer_name(const PreTokenizer& pre_tokenizer, bool ignore_merges);

}  // namespace mlxr
