#include "daemon/server/ollama/ollama_routes.h"

#include <utility>

#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server {
namespace ollama {

std::optional<Json> read_body(const SharedExchange& exchange) {
  const http::Request& request = exchange->request();
  if (request.body.empty()) {
    exchange->respond(ollama_error(make_error(ApiErrorKind::kInvalidRequest, "missing request body")));
    return std::nullopt;
  }
  Result<Json> body = parse_json_text(request.body);
  if (body.ok()) return std::move(body).value();
  exchange->respond(ollama_error(to_api_error(body.status())));
  return std::nullopt;
}

bool refuse(const SharedExchange& exchange, const RequestNotes& notes) {
  if (notes.ok()) return false;
  exchange->respond(ollama_error(*notes.error));
  return true;
}

bool refuse_caller(const OllamaServices& services, const SharedExchange& exchange, CallOptions& options) {
  const std::optional<ApiError> error = identify_call(services.common, exchange->request(), "ollama", options);
  if (error.has_value()) exchange->respond(ollama_error(*error));
  return error.has_value();
}

namespace {

void answer_root(const OllamaServices& /*services*/, const SharedExchange& exchange) {
  exchange->respond(http::text_response(200, "Ollama is running"));
}

void answer_version(const OllamaServices& services, const SharedExchange& exchange) {
  exchange->respond(ollama_json_response({{"version", kOllamaVersion}, {"mlxr", services.version}}, {}));
}

void answer_status(const OllamaServices& /*services*/, const SharedExchange& exchange) {
  exchange->respond(ollama_json_response({{"cloud", {{"disabled", true}, {"source", "none"}}}}, {}));
}

enum class Waits : std::uint8_t { kNo, kYes };
enum class Body : std::uint8_t { kMemory, kFile };

struct Row {
  http::Method method;
  const char* pattern;
  const char* scope;  // empty: needs no key
  Waits waits;
  void (*answer)(const OllamaServices&, const SharedExchange&);
  Body body = Body::kMemory;
};

constexpr Row kRows[] = {
    {http::Method::kGet, "/", "", Waits::kNo, answer_root},
    {http::Method::kGet, "/api/version", "", Waits::kNo, answer_version},
    {http::Method::kGet, "/api/status", "models:read", Waits::kNo, answer_status},
    {http::Method::kPost, "/api/generate", "inference", Waits::kNo, answer_generate},
    {http::Method::kPost, "/api/chat", "inference", Waits::kNo, answer_chat},
    {http::Method::kPost, "/api/embed", "inference", Waits::kNo, answer_embed},
    {http::Method::kPost, "/api/embeddings", "inference", Waits::kNo, answer_embeddings},
    {http::Method::kGet, "/api/tags", "models:read", Waits::kYes, answer_tags},
    {http::Method::kGet, "/api/ps", "models:read", Waits::kYes, answer_running},
    {http::Method::kPost, "/api/show", "models:read", Waits::kYes, answer_show},
    {http::Method::kPost, "/api/copy", "models:write", Waits::kYes, answer_copy},
    {http::Method::kDelete, "/api/delete", "models:write", Waits::kYes, answer_delete},
    {http::Method::kPost, "/api/create", "models:write", Waits::kYes, answer_create},
    {http::Method::kHead, "/api/blobs/{digest}", "models:write", Waits::kYes, answer_blob_test},
    {http::Method::kPost, "/api/blobs/{digest}", "models:write", Waits::kYes, answer_blob_upload, Body::kFile},
    {http::Method::kPost, "/api/pull", "models:write", Waits::kNo, answer_pull},
    {http::Method::kPost, "/api/push", "models:write", Waits::kNo, answer_push},
};

// Of weights; the disk has its own limit.
constexpr std::size_t kMaxBlobBytes = std::size_t{1} << 42;

}  // namespace
}  // namespace ollama

void register_ollama_routes(http::Router& router, const OllamaServices& services) {
  const auto shared = std::make_shared<const OllamaServices>(services);
  for (const ollama::Row& row : ollama::kRows) {
    http::RouteOptions options;
    options.scope = row.scope;
    options.open = options.scope.empty();
    options.blocking = row.waits == ollama::Waits::kYes;
    options.errors = ollama_http_error;
    if (row.body == ollama::Body::kFile) {
      options.body_to_file = true;
      options.max_body_bytes = ollama::kMaxBlobBytes;
    }
    router.add({.method = row.method,
                .pattern = row.pattern,
                .handler = [shared,
                            answer = row.answer](const ollama::SharedExchange& exchange) { answer(*shared, exchange); },
                .options = std::move(options)});
  }
  router.set_errors("/api", ollama_http_error);
}

}  // namespace mlxr::server
