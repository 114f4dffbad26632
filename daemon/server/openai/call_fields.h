#pragma once
// Fields that OpenAI's routes share, with what vLLM and llama-server added to them.

#include <chrono>
#include <optional>
#include <string>

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// How the answer is to be written, beside what is to be generated.
struct OpenAiAnswerOptions {
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;  // usage in each chunk
  bool progress = false;          // of loading and of the prompt
  bool include_reasoning = true;
  bool return_token_ids = false;
  bool prompt_logprobs = false;                               // vLLM's object of them
  std::optional<std::chrono::milliseconds> ping_period = {};  // absent: the server's; 0: none
};

// user, prompt_cache_key, cache_salt, priority, keep_alive, num_ctx: who asks, and what for.
void read_origin(JsonFields& fields, CallOptions& options);

// stream, stream_options, return_progress, sse_ping_interval.
void read_stream(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer);

// Sampling, stops, constraint, n, seeds of caches and such: all that chat and completions share.
void read_generation(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer);
// The same but for the model, which llama-server's routes need not name.
void read_generation_fields(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer);

// OpenAI's: temperature 1, everything that is likely enough.
SamplingOverrides openai_sampling_defaults();

// Fields that have no place in a call, in any of the routes that generate.
void treat_other_fields(JsonFields& fields);

}  // namespace mlxr::server
