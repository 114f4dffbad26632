#pragma once
// Tokenizer files write their patterns for Oniguruma's Ruby syntax (Hugging Face tokenizers) or for Rust's regex crates
// (tiktoken); PCRE2 runs them here. This is the translation of what differs: \s is Unicode's White_Space, \w its words,
// \h a hexadecimal digit, \p{Han} the script alone, (?m) lets the dot match a newline, classes nest ([a[^b]]) and
// intersect ([a&&[^b]]). Source: Oniguruma doc/RE; PCRE2 pcre2pattern(3).

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

// The pattern for PCRE2 with UTF, UCP and MULTILINE set. Fails with kInvalidArgument on an unclosed class or one nested
// deeper than 32 classes.
Result<std::string> translate_regex(std::string_view pattern);

}  // namespace mlxr
