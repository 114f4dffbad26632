#include "daemon/registry/json_text_list.h"

#include <nlohmann/json.hpp>

namespace mlxr {

using nlohmann::json;

std::string text_list_to_json(const std::vector<std::string>& texts) {
  return json(texts).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::string> text_list_from_json(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  std::vector<std::string> texts;
  if (!document.is_array()) return texts;
  for (const json& entry : document) {
    if (entry.is_string()) texts.push_back(entry.get<std::string>());
  }
  return texts;
}

}  // namespace mlxr
