#pragma once
// Prompts that are no conversation: one text, one array of tokens, or several of either.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/runtime/tokenizer/vocabulary.h"
#include "daemon/server/json_fields.h"

namespace mlxr::server {

using Prompt = std::variant<std::string, std::vector<TokenId>>;

// Of the member `name`. An error when it is absent or none of them.
std::vector<Prompt> read_prompts(JsonFields& fields, std::string_view name);

}  // namespace mlxr::server
