#pragma once
// Sampling fields of requests, under the names that OpenAI, vLLM and llama-server give them.

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// temperature, top_p, top_k, min_p, typical_p, penalties, DRY, XTC, mirostat, seed (negative: any), samplers, ...
// What is absent stays as it is.
void read_sampling(JsonFields& fields, SamplingOverrides& sampling);

// logit_bias: {"id": bias} as OpenAI, or [[id or text, bias or false]] as llama-server; false forbids.
void read_logit_bias(JsonFields& fields, SamplingOverrides& sampling);

// stop (a string or several), stop_token_ids, ignore_eos, min_tokens, bad_words.
void read_stops(JsonFields& fields, GenerateCall& call);

}  // namespace mlxr::server
