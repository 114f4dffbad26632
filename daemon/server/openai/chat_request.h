#pragma once
// POST /v1/chat/completions: from the body to a call.

#include "daemon/server/json_fields.h"
#include "daemon/server/openai/call_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

struct ChatRequest {
  GenerateCall call;
  OpenAiAnswerOptions answer;
};

// Errors and warnings are in the notes.
ChatRequest read_chat_request(const Json& body, RequestNotes& notes);

// "none" is no reasoning at all; what models have no word for becomes the nearest of low, medium and high.
void set_reasoning_effort(const std::string& effort, ChatInput& chat);

}  // namespace mlxr::server
