#pragma once
// Items of /v1/responses (messages, function calls and their outputs, reasoning) and the messages that chat templates
// know.

#include <string>

#include "daemon/server/json_fields.h"

namespace mlxr::server {

// Appends to `messages`. What the assistant said, thought and called between two turns of others becomes one message.
class ItemsToMessages {
 public:
  ItemsToMessages(Json& messages, RequestNotes& notes) : messages_(messages), notes_(notes) {}

  // `path` names the item in errors.
  void add(const Json& item, const std::string& path);
  // After the last item.
  void finish() { flush(); }

 private:
  void add_message(JsonFields& fields, const std::string& path);
  void add_call(JsonFields& fields, const std::string& path);
  void add_output(JsonFields& fields, const std::string& path);
  void add_reasoning(JsonFields& fields);
  void flush();
  Json& assistant();

  Json& messages_;
  RequestNotes& notes_;
  Json assistant_;  // not appended yet; null: none
};

}  // namespace mlxr::server
