// /embedding and /embeddings: one array of vectors an input, each with the one vector that pooling leaves.

#include <utility>

#include "daemon/server/answer_json.h"
#include "daemon/server/answer_pump.h"
#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/server/prompt_fields.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

http::Response embedding_response(std::vector<std::string> warnings, const CollectedAnswer& answer) {
  merge_warnings(warnings, answer.started.warnings);
  merge_warnings(warnings, answer.done.warnings);
  Json results = Json::array();
  for (std::size_t i = 0; i < answer.embeddings.size(); ++i)
    results.push_back({{"index", i}, {"embedding", Json::array({answer.embeddings[i].values})}});
  return llama_server_answer(std::move(results), warnings);
}

}  // namespace

void answer_embedding(const LlamaServerServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = llama_server_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  EmbedCall call;
  for (Prompt& prompt : read_prompts(fields, fields.has("content") ? "content" : "input"))
    call.inputs.emplace_back(std::move(prompt));
  // -1: as they are; 2: to a length of 1.
  if (const auto norm = fields.integer("embd_normalize")) {
    if (*norm != -1 && *norm != 2) fields.invalid("embd_normalize", "must be -1 (no) or 2 (a length of 1)");
    call.normalize = *norm == 2;
  }
  choose_model(services, exchange, fields, call.options);
  fields.finish();
  if (!notes.ok()) {
    exchange->respond(llama_server_error(*notes.error));
    return;
  }
  pump_answer(exchange, services.common.models->embed(std::move(call)),
              std::make_unique<WholeAnswerWriter>(
                  1,
                  [warnings = notes.warnings](std::vector<CollectedAnswer>& answers) {
                    return embedding_response(warnings, answers[0]);
                  },
                  [](const AnswerFailed& failed) { return llama_server_error(to_api_error(failed)); }));
}

}  // namespace mlxr::server
