#pragma once
// POST /v1/messages: from the body to a call.

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

struct MessagesRequest {
  GenerateCall call;
  bool stream = false;
};

struct MessagesRules {
  bool counts_only = false;  // of count_tokens, which has no max_tokens
};

MessagesRequest read_messages_request(const Json& body, const MessagesRules& rules, RequestNotes& notes);

}  // namespace mlxr::server
