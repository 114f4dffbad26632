#include <chrono>

#include "core/runtime/engine/memory_plan.h"
#include "daemon/server/access_gate.h"
#include "daemon/server/answer_pump.h"
#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/service/model_service.h"
#include "daemon/settings/settings.h"

namespace mlxr::server {
namespace {

Json plan_json(const MemoryPlan& plan) {
  return {{"total_bytes", plan.total()},
          {"weight_bytes", plan.weight_bytes},
          {"kv_bytes", plan.kv_bytes},
          {"workspace_bytes", plan.workspace_bytes},
          {"draft_bytes", plan.draft_bytes},
          {"swap_bytes", plan.swap_bytes},
          {"tokenizer_bytes", plan.tokenizer_bytes}};
}

Json running_json(const RunningModel& model) {
  const EngineStats& stats = model.stats;
  Json entry = {{"model", model.name},    {"digest", model.digest},         {"context", model.context},
                {"pinned", model.pinned}, {"requests", model.num_requests}, {"memory", plan_json(model.plan)}};
  entry["expires"] =
      model.expires ? Json(std::chrono::duration_cast<std::chrono::seconds>(model.expires->time_since_epoch()).count())
                    : Json();
  entry["steps"] = stats.num_steps;
  entry["generated_tokens"] = stats.generated_tokens;
  entry["draft_tokens"] = stats.draft_tokens;
  entry["accepted_tokens"] = stats.accepted_tokens;
  entry["step_ms"] = stats.step_ms;
  entry["overhead_ms"] = stats.overhead_ms;
  return entry;
}

http::Response list_running(const DaemonServices& services, const http::Request& /*request*/) {
  Json list = Json::array();
  for (const RunningModel& model : services.models.running())
    list.push_back(running_json(model));
  return native_answer({{"models", std::move(list)}});
}

http::Response unload_model(const DaemonServices& services, const http::Request& request) {
  return with_json_body(request, [&services](JsonFields& fields) -> http::Response {
    const std::string model = fields.required_string("model");
    fields.refuse_others();
    if (!fields.notes().ok()) return {};
    return native_answer(services.models.unload(model));
  });
}

http::Response pin_model(const DaemonServices& services, const http::Request& request) {
  return with_json_body(request, [&services](JsonFields& fields) -> http::Response {
    const std::string model = fields.required_string("model");
    const bool pinned = fields.boolean("pinned").value_or(true);
    fields.refuse_others();
    if (!fields.notes().ok()) return {};
    return native_answer(services.models.pin(model, pinned));
  });
}

http::Response plan_model(const DaemonServices& services, const http::Request& request) {
  return with_json_body(request, [&services](JsonFields& fields) -> http::Response {
    ModelService::PlanRequest asked;
    asked.model = fields.required_string("model");
    asked.context = fields.integer("context", {.min = 0}).value_or(0);
    asked.kv_type = fields.string("kv_type").value_or("");
    fields.refuse_others();
    if (!fields.notes().ok()) return {};
    const Result<ModelService::PlanAnswer> answer = services.models.plan(asked);
    if (!answer.ok()) return native_error(to_api_error(answer.status()));
    return native_answer({{"model", asked.model},
                          {"context", answer->context},
                          {"memory", plan_json(answer->plan)},
                          {"description", describe(answer->plan)},
                          {"budget_bytes", answer->budget_bytes},
                          {"in_use_bytes", answer->in_use_bytes},
                          {"fits", answer->fits},
                          {"would_unload", answer->would_unload}});
  });
}

// A number of seconds or a duration as people write it.
std::optional<std::chrono::milliseconds> read_keep_alive(JsonFields& fields) {
  const Json* value = fields.any("keep_alive");
  if (value == nullptr) return std::nullopt;
  if (!value->is_string() && !value->is_number()) {
    fields.invalid("keep_alive", "must be a duration such as \"5m\" or a number of seconds");
    return std::nullopt;
  }
  const Result<Duration> parsed = parse_duration(value->is_string() ? value->get<std::string>() : value->dump());
  if (!parsed.ok()) {
    fields.invalid("keep_alive", parsed.status().message());
    return std::nullopt;
  }
  return *parsed;
}

// Answers when the model is there.
void load_model(const DaemonServices& services, const std::shared_ptr<http::Exchange>& exchange) {
  CallOptions options;
  http::Response refusal = with_json_body(exchange->request(), [&options](JsonFields& fields) -> http::Response {
    options.model = fields.required_string("model");
    options.keep_alive = read_keep_alive(fields);
    options.context = fields.integer("context", {.min = 1});
    fields.refuse_others();
    return {.status = 0, .fields = {}, .body = {}};
  });
  if (refusal.status != 0) return exchange->respond(std::move(refusal));
  options.request_id = exchange->request().id;
  options.dialect = "native";
  if (const auto denied = services.gate.identify(exchange->request(), options))
    return exchange->respond(native_error(*denied));
  const std::string name = options.model;
  auto finish = [name](std::vector<CollectedAnswer>& answers) {
    const AnswerDone& done = answers.front().done;
    return native_answer({{"model", name}, {"load_ms", done.timings.load_ms}, {"warnings", done.warnings}});
  };
  auto fail = [](const AnswerFailed& failed) { return native_error(to_api_error(failed)); };
  pump_answer(exchange, services.models.load(std::move(options)),
              std::make_unique<WholeAnswerWriter>(1, std::move(finish), std::move(fail)));
}

}  // namespace

void register_model_routes(http::Router& router, const DaemonServices& services) {
  struct Row {
    http::Method method;
    const char* pattern;
    const char* scope;
    http::Response (*answer)(const DaemonServices&, const http::Request&);
  };
  constexpr Row kRows[] = {
      {http::Method::kGet, "/v1/running", "models:read", list_running},
      {http::Method::kPost, "/v1/models/unload", "models:write", unload_model},
      {http::Method::kPost, "/v1/models/pin", "models:write", pin_model},
      {http::Method::kPost, "/v1/memory/plan", "models:read", plan_model},
  };
  for (const Row& row : kRows) {
    router.add({.method = row.method,
                .pattern = row.pattern,
                .handler = [&services, answer = row.answer](
                               auto exchange) { exchange->respond(answer(services, exchange->request())); },
                .options = {.blocking = true, .scope = row.scope}});
  }
  router.add({.method = http::Method::kPost,
              .pattern = "/v1/models/load",
              .handler = [&services](auto exchange) { load_model(services, exchange); },
              .options = {.scope = "inference"}});
}

}  // namespace mlxr::server
