#pragma once
// tiktoken's rank files: a line a token, its bytes in base64 and its rank. The file does not say how text is split
// before it is encoded, nor does it have special tokens. Source: openai/tiktoken, tiktoken/load.py.

#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// True when the first line of `text` looks like one of a rank file.
bool looks_like_tiktoken(std::string_view text);

// `pre` is GGUF's name of the pre-tokenizer. kInvalidArgument when it is empty or unknown, kCorrupt with the line for
// a broken file; `path` names the file.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_tiktoken(std::string_view text, const std::string& pre,
                                                           const std::string& path);

}  // namespace mlxr
