#pragma once
// POST /api/generate and /api/chat: from the body to a call.

#include <cstdint>

#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

struct OllamaRequest {
  enum class Kind : std::uint8_t {
    kGenerate,
    kLoad,    // no prompt: the model is wanted, nothing from it
    kUnload,  // no prompt and keep_alive 0
    kRender,  // the prompt is shown, nothing is generated
  };
  Kind kind = Kind::kGenerate;
  GenerateCall call;
  bool chat = false;
  bool stream = true;
  bool with_context = false;  // the last object tells the tokens of prompt and answer
};

OllamaRequest read_ollama_generate(const Json& body, RequestNotes& notes);
OllamaRequest read_ollama_chat(const Json& body, RequestNotes& notes);

// "options": each with its type checked, in Ollama's words; the unknown are warnings.
void read_ollama_options(JsonFields& fields, GenerateCall& call);
// What holds where neither the request nor the model says anything.
SamplingOverrides ollama_sampling_defaults();
// `model`, or `name` as old clients say.
std::string read_ollama_model(JsonFields& fields);

}  // namespace mlxr::server
