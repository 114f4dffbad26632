#pragma once
// SentencePiece's spelling of the space: U+2581. Source: google/sentencepiece, README.

#include <string>
#include <string_view>

#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

std::string metaspace_to_space(std::string_view text);

// True when U+2581 follows another character in no piece: then no token crosses the start of a word.
bool words_start_with_metaspace(const Vocabulary& vocabulary);

}  // namespace mlxr
