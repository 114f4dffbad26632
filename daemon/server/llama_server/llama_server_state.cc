// What the server is and does: /health, /props, /slots; and what it has no counterpart of.

#include <algorithm>
#include <utility>

#include "daemon/server/llama_server/llama_server_completion.h"
#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/server/model_catalog.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr int kNotImplemented = 501;

std::string query_value(const http::Request& request, std::string_view name) {
  for (const auto& [key, value] : request.query) {
    if (key == name) return value;
  }
  return {};
}

void refuse_with(const SharedExchange& exchange, std::string message) {
  ApiError error = make_error(ApiErrorKind::kUnsupported, std::move(message));
  error.status = kNotImplemented;
  exchange->respond(llama_server_error(error));
}

// Tokens of context that requests of the model have: as it is loaded, otherwise as it was trained. 0: unknown.
std::int64_t context_of(const LlamaServerServices& services, const std::string& model) {
  for (const RunningModel& running : services.common.models->running()) {
    if (running.name == model) return running.context;
  }
  if (services.common.catalog == nullptr) return 0;
  const std::optional<ListedModel> listed = services.common.catalog->find(model);
  return listed.has_value() ? listed->context_length : 0;
}

Json slot_json(std::int64_t id, const OpenRequest* request, std::int64_t context) {
  Json slot = {{"id", id}, {"n_ctx", context}, {"is_processing", request != nullptr}};
  if (request == nullptr) return slot;
  slot["id_task"] = request->id;
  slot["model"] = request->model;
  slot["state"] = request->state;
  slot["n_prompt_tokens"] = request->prompt_tokens;
  slot["next_token"] = {{"n_decoded", request->generated_tokens}};
  return slot;
}

}  // namespace

void answer_health(const LlamaServerServices& /*services*/, const SharedExchange& exchange) {
  exchange->respond(llama_server_answer({{"status", "ok"}}, {}));
}

void answer_props(const LlamaServerServices& services, const SharedExchange& exchange) {
  std::string model = query_value(exchange->request(), "model");
  if (model.empty()) model = only_model(services);
  std::vector<std::string> warnings;
  Json body = {{"default_generation_settings", {{"params", sampling_settings(llama_server_sampling_defaults())}}},
               {"total_slots", services.max_sequences},
               {"modalities", {{"vision", false}, {"audio", false}}},
               {"build_info", "mlxr " + services.version},
               {"is_sleeping", false}};
  if (model.empty()) {
    warnings.emplace_back("not exactly one model is loaded or installed: ?model=NAME tells of one");
  } else {
    const Result<ModelAbilities> abilities = services.common.models->abilities(model);
    if (!abilities.ok()) {
      exchange->respond(llama_server_error(to_api_error(abilities.status())));
      return;
    }
    body["default_generation_settings"]["n_ctx"] = context_of(services, model);
    body["model_alias"] = model;
    body["chat_template_caps"] = {{"supports_chat", abilities->chat}, {"supports_tools", abilities->tools}};
  }
  exchange->respond(llama_server_answer(std::move(body), warnings));
}

void answer_slots(const LlamaServerServices& services, const SharedExchange& exchange) {
  Json slots = Json::array();
  const std::vector<OpenRequest> requests = services.common.models->requests();
  std::int64_t id = 0;
  for (const OpenRequest& request : requests) {
    if (services.may_see && !services.may_see(exchange->request(), request.caller_key)) continue;
    slots.push_back(slot_json(id++, &request, context_of(services, request.model)));
  }
  // The rest is free, but for requests of others, which are not shown.
  const auto taken = static_cast<std::int64_t>(requests.size());
  if (taken >= services.max_sequences && query_value(exchange->request(), "fail_on_no_slot") == "1") {
    exchange->respond(llama_server_error(make_error(ApiErrorKind::kOverloaded, "no slot is available")));
    return;
  }
  const std::int64_t context = context_of(services, only_model(services));
  for (std::int64_t free = taken; free < services.max_sequences; ++free)
    slots.push_back(slot_json(id++, nullptr, context));
  exchange->respond(llama_server_answer(std::move(slots), {}));
}

void refuse_props(const LlamaServerServices& /*services*/, const SharedExchange& exchange) {
  refuse_with(exchange, "settings are not changed here: `mlxr config set NAME VALUE`");
}

void refuse_adapters(const LlamaServerServices& /*services*/, const SharedExchange& exchange) {
  refuse_with(exchange, "adapters are not supported by this server");
}

void refuse_slot_action(const LlamaServerServices& /*services*/, const SharedExchange& exchange) {
  refuse_with(exchange,
              "slots cannot be saved, restored or erased: prefixes are shared by blocks, and kept over restarts by the "
              "setting kv_persistence");
}

}  // namespace mlxr::server
