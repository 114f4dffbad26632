#pragma once
// POST /v1/responses: from the body, and the responses before it, to a call.

#include <optional>
#include <string>
#include <vector>

#include "daemon/registry/response_store.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/openai/call_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

struct ResponsesRequest {
  GenerateCall call;
  OpenAiAnswerOptions answer;
  bool store = true;
  std::string previous_id = {};
  Json input = Json::array();   // items, as they came; a string is a message of the user
  Json shown = Json::object();  // members of the response object that repeat the request
};

// `call.input` has no messages yet: read_conversation() puts them there.
ResponsesRequest read_responses_request(const Json& body, RequestNotes& notes);

// Instructions, the turns before, and the input of this one. Items are errors by their path only when they are of this
// request.
void read_conversation(ResponsesRequest& request, const std::vector<StoredResponse>& before, RequestNotes& notes);

}  // namespace mlxr::server
