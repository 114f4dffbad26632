#pragma once
// Conversations and tools of requests, turned into what chat templates want: roles system, user, assistant and tool,
// content as one string, arguments of tool calls as objects.

#include <string>

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// OpenAI's `messages`. developer becomes system; text parts are joined by line breaks; parts that are no text are
// refused. A final assistant message with "prefix": true is the beginning of the answer.
void read_messages(JsonFields& fields, ChatInput& chat);

// OpenAI's `tools` ([{type: function, function: {...}}], or flat ones as in /v1/responses), `tool_choice` and
// `parallel_tool_calls`.
void read_tools(JsonFields& fields, ChatInput& chat);

// JSON text of an object as that object; text that is none stays a string (answers that were cut off come back so),
// with a warning.
Json tool_arguments(const std::string& text, const std::string& path, RequestNotes& notes);

// The name of the call with this id among the assistant messages so far; empty when there is none.
std::string tool_name_of(const Json& messages, const std::string& call_id);

// Text of a content that is a string or an array of parts whose types are in `text_types`; fails on others.
std::string content_text(const Json& content, const std::string& path, RequestNotes& notes);

}  // namespace mlxr::server
