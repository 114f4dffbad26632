#include <fmt/core.h>

#include "daemon/http/message.h"
#include "daemon/server/model_catalog.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"

namespace mlxr::server {
namespace {

std::string utc_time(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  std::array<char, 32> text = {};
  if (::gmtime_r(&time, &parts) == nullptr) return {};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

// Agents read how long a prompt may be from max_model_len (vLLM's) or context_length; llama-server's stand in meta.
// type, display_name and created_at are Anthropic's.
Json model_json(const ListedModel& model) {
  Json out = {{"id", model.name},
              {"object", "model"},
              {"created", model.created},
              {"owned_by", model.owned_by},
              {"root", model.name},
              {"parent", nullptr},
              {"permission", Json::array()},
              {"type", "model"},
              {"display_name", model.name},
              {"created_at", utc_time(model.created)}};
  Json meta = Json::object();
  if (model.context_length > 0) {
    out["max_model_len"] = model.context_length;
    out["context_length"] = model.context_length;
    meta["n_ctx_train"] = model.context_length;
  }
  if (model.embedding_length > 0) meta["n_embd"] = model.embedding_length;
  if (model.num_parameters > 0) meta["n_params"] = model.num_parameters;
  if (model.size_bytes > 0) meta["size"] = model.size_bytes;
  if (!model.family.empty()) meta["family"] = model.family;
  if (!model.quantization.empty()) meta["quantization"] = model.quantization;
  out["meta"] = std::move(meta);
  return out;
}

// A key with a list of models sees no others.
bool may_see(const OpenAiServices& services, const SharedExchange& exchange, const std::string& name) {
  CallOptions options;
  options.model = name;
  return !identify_call(services.common, exchange->request(), "openai", options).has_value();
}

}  // namespace

void answer_models(const OpenAiServices& services, const SharedExchange& exchange) {
  Json data = Json::array();
  for (const ListedModel& model : services.common.catalog->list()) {
    if (may_see(services, exchange, model.name)) data.push_back(model_json(model));
  }
  Json body = {{"object", "list"},
               {"first_id", data.empty() ? Json(nullptr) : data.front()["id"]},
               {"last_id", data.empty() ? Json(nullptr) : data.back()["id"]},
               {"has_more", false},
               {"data", std::move(data)}};
  exchange->respond(http::json_response(200, json_text(body)));
}

void answer_model(const OpenAiServices& services, const SharedExchange& exchange) {
  const std::string& name = exchange->request().captures.at("id");
  const std::optional<ListedModel> model = services.common.catalog->find(name);
  if (model.has_value() && may_see(services, exchange, model->name)) {
    exchange->respond(http::json_response(200, json_text(model_json(*model))));
    return;
  }
  exchange->respond(openai_error(
      make_error(ApiErrorKind::kModelNotFound, fmt::format("there is no model {}", json_quoted(name)), "model")));
}

}  // namespace mlxr::server
