#include "daemon/server/llama_server/llama_server_completion.h"

#include <algorithm>
#include <utility>

#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/server/prompt_fields.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxProbabilities = 20;

// The texts around a gap. A prompt goes on from the prefix.
TextInput read_gap(JsonFields& fields) {
  TextInput input;
  input.text = fields.string("input_prefix").value_or("") + fields.string("prompt").value_or("");
  input.suffix = fields.string("input_suffix").value_or("");
  if (const Json* extra = fields.array("input_extra"); extra != nullptr && !extra->empty()) {
    fields.notes().fail(ApiErrorKind::kUnsupported, "input_extra",
                        "field 'input_extra' is not supported: put what matters of other files into input_prefix");
  }
  return input;
}

std::vector<GenerateCall> calls_of(const GenerateCall& call, std::vector<Prompt> prompts) {
  std::vector<GenerateCall> calls;
  for (Prompt& prompt : prompts) {
    GenerateCall each = call;
    if (auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
      each.input = TokenInput{.tokens = std::move(*tokens)};
    } else {
      TextInput text;
      text.text = std::move(std::get<std::string>(prompt));
      each.input = std::move(text);
    }
    calls.push_back(std::move(each));
  }
  return calls;
}

// `read_inputs` makes the calls, one a prompt, of one call without a prompt.
template <class ReadInputs>
void answer_generation(const LlamaServerServices& services, const SharedExchange& exchange,
                       const ReadInputs& read_inputs) {
  std::optional<Json> body = llama_server_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  GenerateCall call;
  LlamaServerHead head;
  read_completion_fields(fields, call, head.options);
  std::vector<GenerateCall> calls = read_inputs(fields, call);
  fields.any("model");
  treat_other_fields(fields);
  fields.finish();
  for (std::size_t i = 0; i < calls.size() && notes.ok(); ++i) {
    if (calls.size() > 1) calls[i].options.request_id = exchange->request().id + "-" + std::to_string(i);
    choose_model(services, exchange, fields, calls[i].options);
  }
  if (!notes.ok()) {
    exchange->respond(llama_server_error(*notes.error));
    return;
  }
  head.model = calls.front().options.model;
  head.probabilities = call.logprobs;
  head.choices_per_prompt = call.n;
  head.settings = generation_settings(call);
  head.warnings = notes.warnings;
  PumpOptions pump;
  if (head.options.stream) pump.idle_period = head.options.ping_period.value_or(services.common.ping_period);
  std::vector<std::shared_ptr<AnswerStream>> streams;
  for (GenerateCall& each : calls)
    streams.push_back(services.common.models->generate(std::move(each)));
  std::unique_ptr<AnswerWriter> writer;
  if (head.options.stream) {
    writer = llama_server_stream_writer(std::move(head), streams.size());
  } else {
    writer = std::make_unique<WholeAnswerWriter>(
        streams.size(),
        [head = std::move(head)](std::vector<CollectedAnswer>& answers) { return llama_server_results(head, answers); },
        [](const AnswerFailed& failed) { return llama_server_error(to_api_error(failed)); });
  }
  pump_answers(exchange, std::move(streams), std::move(writer), pump);
}

}  // namespace

SamplingOverrides llama_server_sampling_defaults() {
  SamplingOverrides sampling;
  sampling.temperature = 0.8F;
  sampling.top_k = 40;
  sampling.top_p = 0.95F;
  sampling.min_p = 0.05F;
  sampling.repetition_penalty = 1.0F;
  sampling.penalty_last_n = 64;
  return sampling;
}

void read_completion_fields(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer) {
  read_generation_fields(fields, call, answer);
  call.dialect_defaults = llama_server_sampling_defaults();
  call.echo = true;  // answers repeat the prompt
  for (const char* name : {"max_tokens", "n_predict"}) {
    // -2 was "until the context is full", which -1 is here.
    if (const auto count = fields.integer(name, {.min = -2})) call.max_tokens = std::max<std::int64_t>(*count, -1);
  }
  for (const char* name : {"logprobs", "n_probs"}) {
    const auto top = fields.integer(name, {.min = 0, .max = kMaxProbabilities});
    if (!top.has_value() || *top == 0) continue;
    call.logprobs = true;
    call.top_logprobs = static_cast<int>(*top);
  }
  if (answer.prompt_logprobs) fields.invalid("prompt_logprobs", "belongs to /v1/completions");
}

Json generation_settings(const GenerateCall& call) {
  SamplingOverrides sampling = call.sampling;
  sampling.fill_from(call.dialect_defaults);
  Json settings = sampling_settings(sampling);
  settings["n_predict"] = call.max_tokens;
  settings["n_probs"] = call.top_logprobs;
  settings["stop"] = call.stop;
  return settings;
}

void answer_completion(const LlamaServerServices& services, const SharedExchange& exchange) {
  answer_generation(services, exchange, [](JsonFields& fields, const GenerateCall& call) {
    return calls_of(call, read_prompts(fields, "prompt"));
  });
}

void answer_infill(const LlamaServerServices& services, const SharedExchange& exchange) {
  answer_generation(services, exchange, [](JsonFields& fields, const GenerateCall& call) {
    std::vector<GenerateCall> calls = {call};
    calls.front().input = read_gap(fields);
    return calls;
  });
}

}  // namespace mlxr::server
