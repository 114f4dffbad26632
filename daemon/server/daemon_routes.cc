#include "daemon/server/daemon_routes.h"

#include "daemon/registry/response_store.h"
#include "daemon/server/access_gate.h"
#include "daemon/server/anthropic/anthropic_routes.h"
#include "daemon/server/llama_server/llama_server_routes.h"
#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/server/native/replay_routes.h"
#include "daemon/server/ollama/ollama_routes.h"
#include "daemon/server/ollama/registry_model_store.h"
#include "daemon/server/openai/openai_routes.h"
#include "daemon/server/openai/response_archive.h"
#include "daemon/settings/settings_file.h"

namespace mlxr::server {

struct DaemonRoutes::State {
  explicit State(DaemonServices all)
      : services(std::move(all)), archive(archive_in(services.responses)), store(services.catalog) {}
  DialectServices dialect() const;
  OpenAiServices openai() const;
  OllamaServices ollama();
  LlamaServerServices llama_server() const;

  DaemonServices services;
  std::unique_ptr<ResponseArchive> archive;
  RegistryModelStore store;
};

DialectServices DaemonRoutes::State::dialect() const {
  DialectServices out;
  out.models = &services.models;
  out.catalog = &services.listed;
  out.identify = [&gate = services.gate](const http::Request& request, CallOptions& options) {
    return gate.identify(request, options);
  };
  out.ping_period = services.settings.settings()->stream_ping;
  return out;
}

OpenAiServices DaemonRoutes::State::openai() const {
  OpenAiServices out;
  out.common = dialect();
  out.archive = archive.get();
  out.key_id = [](const http::Request& request) { return caller_of_request(request).key_id; };
  return out;
}

OllamaServices DaemonRoutes::State::ollama() {
  OllamaServices out;
  out.common = dialect();
  out.store = &store;
  out.transfers = &services.transfers;
  out.version = services.version;
  return out;
}

LlamaServerServices DaemonRoutes::State::llama_server() const {
  LlamaServerServices out;
  out.common = dialect();
  out.version = services.version;
  out.max_sequences = services.settings.settings()->max_sequences;
  out.may_see = [](const http::Request& request, const std::string& caller_key) {
    const Caller caller = caller_of_request(request);
    return caller.may(Scope::kAdmin) || account_of(caller_key) == caller.fairness_key;
  };
  return out;
}

DaemonRoutes::DaemonRoutes(DaemonServices services) : state_(std::make_unique<State>(std::move(services))) {}

DaemonRoutes::~DaemonRoutes() = default;

http::Router DaemonRoutes::router() const {
  http::Router router;
  router.set_errors("/",
                    [](int status, const std::string& message) { return native_error(http_error(status, message)); });
  register_openai_routes(router, state_->openai());
  register_anthropic_routes(router, state_->dialect());
  register_ollama_routes(router, state_->ollama());
  register_llama_server_routes(router, state_->llama_server());
  register_health_routes(router, state_->services);
  register_model_routes(router, state_->services);
  register_request_routes(router, state_->services);
  register_key_routes(router, state_->services);
  // A replay goes to any route but itself.
  register_replay_routes(router, state_->services, std::make_shared<const http::Router>(router));
  return router;
}

}  // namespace mlxr::server
