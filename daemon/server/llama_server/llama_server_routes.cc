#include "daemon/server/llama_server/llama_server_routes.h"

#include <utility>
#include <vector>

#include "daemon/server/answer_json.h"
#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/server/model_catalog.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

constexpr const char* kOpen = "";  // needs no key
constexpr const char* kInference = "inference";
constexpr const char* kModelsRead = "models:read";

struct LlamaServerRoute {
  http::Method method;
  const char* pattern;
  const char* scope;
  bool blocking;  // it may wait for a list of models or a tokenizer
  void (*handler)(const LlamaServerServices& services, const SharedExchange& exchange);
};

constexpr LlamaServerRoute kRoutes[] = {
    {http::Method::kGet, "/health", kOpen, false, answer_health},
    {http::Method::kGet, "/v1/health", kOpen, false, answer_health},
    {http::Method::kPost, "/completion", kInference, true, answer_completion},
    {http::Method::kPost, "/completions", kInference, true, answer_completion},
    {http::Method::kPost, "/infill", kInference, true, answer_infill},
    {http::Method::kPost, "/embedding", kInference, true, answer_embedding},
    {http::Method::kPost, "/embeddings", kInference, true, answer_embedding},
    {http::Method::kPost, "/tokenize", kInference, true, answer_tokenize},
    {http::Method::kPost, "/detokenize", kInference, true, answer_detokenize},
    {http::Method::kPost, "/apply-template", kInference, true, answer_template},
    {http::Method::kGet, "/props", kModelsRead, true, answer_props},
    {http::Method::kPost, "/props", kInference, false, refuse_props},
    {http::Method::kGet, "/slots", kModelsRead, false, answer_slots},
    {http::Method::kPost, "/slots/{id}", kInference, false, refuse_slot_action},
    {http::Method::kGet, "/lora-adapters", kModelsRead, false, refuse_adapters},
    {http::Method::kPost, "/lora-adapters", kInference, false, refuse_adapters},
};

}  // namespace

void register_llama_server_routes(http::Router& router, const LlamaServerServices& services) {
  const auto shared = std::make_shared<const LlamaServerServices>(services);
  for (const LlamaServerRoute& route : kRoutes) {
    http::RouteOptions options;
    options.scope = route.scope;
    options.open = options.scope.empty();
    options.blocking = route.blocking;
    options.errors = llama_server_http_error;
    http::Handler handler = [shared, function = route.handler](const SharedExchange& exchange) {
      function(*shared, exchange);
    };
    router.add({.method = route.method, .pattern = route.pattern, .handler = std::move(handler), .options = options});
  }
}

std::optional<Json> llama_server_body(const SharedExchange& exchange) {
  Result<Json> body = parse_json_text(exchange->request().body);
  if (body.ok()) return std::move(body).value();
  exchange->respond(llama_server_error(to_api_error(body.status())));
  return std::nullopt;
}

std::string only_model(const LlamaServerServices& services) {
  const std::vector<RunningModel> running = services.common.models->running();
  if (running.size() == 1) return running.front().name;
  if (!running.empty() || services.common.catalog == nullptr) return {};
  const std::vector<ListedModel> listed = services.common.catalog->list();
  return listed.size() == 1 ? listed.front().name : std::string();
}

void choose_model(const LlamaServerServices& services, const SharedExchange& exchange, JsonFields& fields,
                  CallOptions& options) {
  options.model = fields.string("model").value_or("");
  if (!fields.notes().ok()) return;
  if (options.model.empty()) options.model = only_model(services);
  if (options.model.empty()) {
    fields.invalid("model", "is missing, and not exactly one model is loaded or installed: name one (GET /v1/models)");
    return;
  }
  if (auto error = identify_call(services.common, exchange->request(), "llama-server", options))
    fields.notes().error = std::move(error);
}

http::Response llama_server_answer(Json body, const std::vector<std::string>& warnings) {
  if (!warnings.empty() && body.is_object()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  add_warnings(response.fields, warnings);
  return response;
}

}  // namespace mlxr::server
