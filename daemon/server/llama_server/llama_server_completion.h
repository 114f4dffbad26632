#pragma once
// /completion and /infill: from the body to calls, one a prompt, and back.

#include <memory>
#include <vector>

#include "daemon/server/answer_pump.h"
#include "daemon/server/json_fields.h"
#include "daemon/server/openai/call_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// llama-server's: temperature 0.8, top_k 40, top_p 0.95, min_p 0.05.
SamplingOverrides llama_server_sampling_defaults();
// Those that are set, under llama-server's names.
Json sampling_settings(const SamplingOverrides& sampling);

// What all results of an answer have in common.
struct LlamaServerHead {
  std::string model;
  OpenAiAnswerOptions options = {};
  bool probabilities = false;
  int choices_per_prompt = 1;
  Json settings = Json::object();          // generation_settings
  std::vector<std::string> warnings = {};  // of reading the request
};

// What generates, of the bodies of both routes: all but prompts and model.
void read_completion_fields(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer);
// What the request asks for, as answers repeat it.
Json generation_settings(const GenerateCall& call);

std::unique_ptr<AnswerWriter> llama_server_stream_writer(LlamaServerHead head, std::size_t num_prompts);
// One result, or an array of several.
http::Response llama_server_results(const LlamaServerHead& head, const std::vector<CollectedAnswer>& answers);

}  // namespace mlxr::server
