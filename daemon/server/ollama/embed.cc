// /api/embed and /api/embeddings.

#include <utility>

#include <fmt/core.h>

#include "daemon/server/answer_json.h"
#include "daemon/server/keep_alive.h"
#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server::ollama {
namespace {

constexpr std::size_t kMaxInputs = 2048;
constexpr std::int64_t kMaxDimensions = 1 << 20;

using Finish = http::Response (*)(const std::string& model, const std::vector<std::string>& warnings,
                                  const CollectedAnswer& answer);

void read_common(JsonFields& fields, EmbedCall& call) {
  call.options.model = read_ollama_model(fields);
  read_keep_alive(fields, call.options);
  // Of the options only those of the model mean something here.
  GenerateCall options;
  read_ollama_options(fields, options);
  call.options.context = options.options.context;
}

void read_input(JsonFields& fields, EmbedCall& call) {
  const Json* input = fields.any("input");
  if (input == nullptr) return;
  if (input->is_string()) {
    if (!input->get_ref<const std::string&>().empty()) call.inputs.emplace_back(input->get<std::string>());
    return;
  }
  bool texts = input->is_array();
  for (std::size_t i = 0; texts && i < input->size(); ++i)
    texts = (*input)[i].is_string();
  if (!texts) {
    fields.notes().fail(ApiErrorKind::kInvalidRequest, "input", "invalid input type");
    return;
  }
  if (input->size() > kMaxInputs) {
    fields.invalid("input", fmt::format("has {} entries; {} are allowed", input->size(), kMaxInputs));
    return;
  }
  for (const Json& text : *input)
    call.inputs.emplace_back(text.get<std::string>());
}

std::vector<std::string> all_warnings(const std::vector<std::string>& warnings, const CollectedAnswer& answer) {
  std::vector<std::string> all = warnings;
  merge_warnings(all, answer.started.warnings);
  merge_warnings(all, answer.done.warnings);
  return all;
}

http::Response embed_response(const std::string& model, const std::vector<std::string>& warnings,
                              const CollectedAnswer& answer) {
  Json vectors = Json::array();
  std::int64_t num_tokens = 0;
  for (const EmbeddingReady& each : answer.embeddings) {
    num_tokens += each.num_tokens;
    vectors.push_back(each.values);
  }
  Json body = {{"model", model}, {"embeddings", std::move(vectors)}};
  const AnswerTimings& times = answer.done.timings;
  if (times.total_ms > 0.0) body["total_duration"] = nanoseconds_of(times.total_ms);
  if (times.load_ms > 0.0) body["load_duration"] = nanoseconds_of(times.load_ms);
  if (num_tokens > 0) body["prompt_eval_count"] = num_tokens;
  return ollama_json_response(std::move(body), all_warnings(warnings, answer));
}

http::Response embedding_response(const std::string& /*model*/, const std::vector<std::string>& warnings,
                                  const CollectedAnswer& answer) {
  Json values = answer.embeddings.empty() ? Json::array() : Json(answer.embeddings.front().values);
  return ollama_json_response({{"embedding", std::move(values)}}, all_warnings(warnings, answer));
}

void answer(const OllamaServices& services, const SharedExchange& exchange, EmbedCall call, RequestNotes notes,
            Finish finish) {
  if (refuse(exchange, notes) || refuse_caller(services, exchange, call.options)) return;
  const std::string model = call.options.model;
  ModelService& models = *services.common.models;
  // Nothing to embed: the model is wanted, nothing from it.
  std::shared_ptr<AnswerStream> stream =
      call.inputs.empty() ? models.load(std::move(call.options)) : models.embed(std::move(call));
  pump_answer(exchange, std::move(stream),
              std::make_unique<WholeAnswerWriter>(
                  1,
                  [model, warnings = std::move(notes.warnings), finish](std::vector<CollectedAnswer>& answers) {
                    return finish(model, warnings, answers[0]);
                  },
                  [model](const AnswerFailed& failed) { return ollama_error(ollama_embed_failure(failed, model)); }));
}

}  // namespace

void answer_embed(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  EmbedCall call;
  JsonFields fields(*body, "", notes);
  if (notes.ok()) {
    read_common(fields, call);
    read_input(fields, call);
    call.overflow = fields.boolean("truncate").value_or(true) ? Overflow::kTruncate : Overflow::kRefuse;
    call.dimensions = fields.integer("dimensions", {.min = 0, .max = kMaxDimensions}).value_or(0);
    fields.finish();
  }
  answer(services, exchange, std::move(call), std::move(notes), embed_response);
}

void answer_embeddings(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  EmbedCall call;
  JsonFields fields(*body, "", notes);
  if (notes.ok()) {
    read_common(fields, call);
    const std::string prompt = fields.string("prompt").value_or("");
    if (!prompt.empty()) call.inputs.emplace_back(prompt);
    call.overflow = Overflow::kTruncate;
    call.normalize = false;
    fields.finish();
  }
  answer(services, exchange, std::move(call), std::move(notes), embedding_response);
}

}  // namespace mlxr::server::ollama
