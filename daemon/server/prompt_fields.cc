#include "daemon/server/prompt_fields.h"

#include <fmt/core.h>

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxPrompts = 1024;
constexpr std::size_t kMaxPromptTokens = 10'000'000;

std::vector<TokenId> read_prompt_tokens(JsonFields& fields, const Json& value, const std::string& name) {
  // The reader of fields knows how to check tokens; it wants an object.
  const Json holder = {{name, value}};
  JsonFields inner(holder, "", fields.notes());
  return inner.tokens(name, kMaxPromptTokens).value_or(std::vector<TokenId>());
}

}  // namespace

std::vector<Prompt> read_prompts(JsonFields& fields, std::string_view name) {
  std::vector<Prompt> prompts;
  const Json* value = fields.any(name);
  if (value == nullptr) {
    fields.invalid(name, "is missing");
  } else if (value->is_string()) {
    prompts.emplace_back(value->get<std::string>());
  } else if (!value->is_array() || value->empty()) {
    fields.invalid(name, fmt::format("must be a string, tokens, or an array of either; it is {}{}",
                                     describe_json(*value), value->is_array() ? " without entries" : ""));
  } else if (value->front().is_number()) {
    prompts.emplace_back(read_prompt_tokens(fields, *value, std::string(name)));
  } else if (value->size() > kMaxPrompts) {
    fields.invalid(name, fmt::format("has {} entries; {} are allowed", value->size(), kMaxPrompts));
  } else {
    for (std::size_t i = 0; i < value->size() && fields.notes().ok(); ++i) {
      const Json& entry = (*value)[i];
      const std::string entry_name = fmt::format("{}[{}]", name, i);
      if (entry.is_string()) {
        prompts.emplace_back(entry.get<std::string>());
      } else if (entry.is_array()) {
        prompts.emplace_back(read_prompt_tokens(fields, entry, entry_name));
      } else {
        fields.invalid(entry_name,
                       fmt::format("must be a string or an array of tokens; it is {}", describe_json(entry)));
      }
    }
  }
  return prompts;
}

}  // namespace mlxr::server
