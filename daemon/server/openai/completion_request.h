#pragma once
// POST /v1/completions: from the body to calls, one a prompt.

#include <vector>

#include "daemon/server/json_fields.h"
#include "daemon/server/openai/call_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

struct CompletionRequest {
  std::vector<GenerateCall> calls;  // alike but for their input
  OpenAiAnswerOptions answer;
  bool echo = false;  // the prompt begins the text
};

CompletionRequest read_completion_request(const Json& body, RequestNotes& notes);

}  // namespace mlxr::server
