#include "daemon/server/openai/response_items.h"

#include <utility>

#include <fmt/core.h>

#include "daemon/server/chat_fields.h"

namespace mlxr::server {
namespace {

constexpr KnownField kItemFields[] = {
    {"id", FieldTreatment::kSilent, ""},         {"status", FieldTreatment::kSilent, ""},
    {"phase", FieldTreatment::kSilent, ""},      {"encrypted_content", FieldTreatment::kSilent, ""},
    {"created_by", FieldTreatment::kSilent, ""},
};

std::string joined_texts(const Json* parts) {
  std::string text;
  if (parts == nullptr) return text;
  for (const Json& part : *parts) {
    if (!part.is_object()) continue;
    const auto found = part.find("text");
    if (found != part.end() && found->is_string()) text += found->get_ref<const std::string&>();
  }
  return text;
}

}  // namespace

void ItemsToMessages::add(const Json& item, const std::string& path) {
  JsonFields fields(item, path + ".", notes_);
  if (!notes_.ok()) return;
  const std::string type = fields.string("type").value_or("message");
  if (type == "message") {
    add_message(fields, path);
  } else if (type == "function_call") {
    add_call(fields, path);
  } else if (type == "function_call_output") {
    add_output(fields, path);
  } else if (type == "reasoning") {
    add_reasoning(fields);
  } else if (notes_.ok()) {
    notes_.fail(ApiErrorKind::kUnsupported, path,
                fmt::format("field '{}' is an item of type {}: items here are message, function_call, "
                            "function_call_output and reasoning",
                            path, json_quoted(type)));
  }
  fields.treat(kItemFields);
  fields.finish();
}

Json& ItemsToMessages::assistant() {
  if (assistant_.is_null()) assistant_ = {{"role", "assistant"}, {"content", ""}};
  return assistant_;
}

void ItemsToMessages::flush() {
  if (!assistant_.is_null()) messages_.push_back(std::exchange(assistant_, Json(nullptr)));
}

void ItemsToMessages::add_message(JsonFields& fields, const std::string& path) {
  if (!fields.has("role")) fields.invalid("role", "is missing");
  std::string role = fields.choice("role", {"system", "developer", "user", "assistant"}).value_or("");
  if (role == "developer") role = "system";
  const Json* content = fields.any("content");
  if (content == nullptr) {
    fields.invalid("content", "is missing");
    return;
  }
  std::string text = content_text(*content, path + ".content", notes_);
  if (role != "assistant") {
    flush();
    messages_.push_back({{"role", role}, {"content", std::move(text)}});
    return;
  }
  const bool taken = !assistant_.is_null() && (assistant_.contains("tool_calls") ||
                                               !assistant_["content"].get_ref<const std::string&>().empty());
  if (taken) flush();
  assistant()["content"] = std::move(text);
}

void ItemsToMessages::add_call(JsonFields& fields, const std::string& path) {
  const std::string id = fields.required_string("call_id");
  const std::string name = fields.required_string("name");
  const std::string arguments = fields.required_string("arguments");
  if (!notes_.ok()) return;
  Json& message = assistant();
  if (!message.contains("tool_calls")) message["tool_calls"] = Json::array();
  message["tool_calls"].push_back(
      {{"id", id},
       {"type", "function"},
       {"function", {{"name", name}, {"arguments", tool_arguments(arguments, path + ".arguments", notes_)}}}});
}

void ItemsToMessages::add_output(JsonFields& fields, const std::string& path) {
  flush();
  const std::string id = fields.required_string("call_id");
  const Json* output = fields.any("output");
  if (output == nullptr) {
    fields.invalid("output", "is missing");
    return;
  }
  Json message = {{"role", "tool"}, {"content", content_text(*output, path + ".output", notes_)}, {"tool_call_id", id}};
  if (std::string name = tool_name_of(messages_, id); !name.empty()) message["name"] = std::move(name);
  messages_.push_back(std::move(message));
}

void ItemsToMessages::add_reasoning(JsonFields& fields) {
  // It precedes what it is about.
  if (!assistant_.is_null()) flush();
  std::string text = joined_texts(fields.array("content"));
  const std::string summary = joined_texts(fields.array("summary"));
  if (text.empty()) text = summary;
  if (!text.empty()) assistant()["reasoning_content"] = std::move(text);
}

}  // namespace mlxr::server
