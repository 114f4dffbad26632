#pragma once
// What an answer must look like, in all the words that clients have for it: OpenAI's response_format, vLLM's
// structured_outputs and guided_*, llama-server's grammar and json_schema.

#include <string>

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// At most one of them; an error names two that are there at once.
void read_constraint(JsonFields& fields, GenerateCall& call);

// {"type": "text" | "json_object" | "json_schema", ...}: response_format, and text.format of /v1/responses, where the
// schema stands beside the type.
void read_response_format(const Json& format, const std::string& path, RequestNotes& notes, Constraint& constraint);

}  // namespace mlxr::server
