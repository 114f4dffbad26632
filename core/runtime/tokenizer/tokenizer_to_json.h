#pragma once
// Any tokenizer as a tokenizer.json of Hugging Face, for software that reads only those.

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

// A tokenizer.json that encodes as `tokenizer` does, whatever that was read from. kUnsupported when the format cannot
// say it: spellings that are not UTF-8.
Result<nlohmann::json> tokenizer_to_json(const Tokenizer& tokenizer);

// The tokenizer_config.json beside it: the names of the special tokens.
nlohmann::json tokenizer_config_json(const Tokenizer& tokenizer);

}  // namespace mlxr
