#include <algorithm>
#include <chrono>

#include "core/runtime/engine/memory_plan.h"
#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/service/model_service.h"
#include "daemon/settings/settings_file.h"
#include "daemon/telemetry/metrics.h"

namespace mlxr::server {
namespace {

constexpr std::chrono::seconds kProbeTimeout{10};

http::Response deep_health(const DaemonServices& services) {
  const std::vector<ProbeReport> reports = services.models.probe(kProbeTimeout);
  Json models = Json::array();
  for (const ProbeReport& report : reports) {
    Json entry = {{"model", report.model}, {"ok", report.ok}, {"probe_ms", report.probe_ms}};
    entry["last_step_age_ms"] = report.last_step_age_ms < 0.0 ? Json() : Json(report.last_step_age_ms);
    if (!report.ok) entry["message"] = report.message;
    models.push_back(std::move(entry));
  }
  const bool ok = std::ranges::all_of(reports, [](const ProbeReport& report) { return report.ok; });
  return native_answer({{"status", ok ? "ok" : "failing"}, {"models", std::move(models)}}, ok ? 200 : 503);
}

// Gauges show what is the case when somebody looks.
http::Response metrics_page(const DaemonServices& services, const http::Request& request) {
  if (!services.settings.settings()->metrics)
    return native_error(make_error(ApiErrorKind::kNotFound, "metrics are switched off (setting metrics)"));
  Metrics& metrics = services.metrics;
  const std::vector<RunningModel> running = services.models.running();
  const auto block_tokens = services.settings.settings()->block_tokens;
  for (const RunningModel& model : running) {
    metrics.observe_engine(
        {.model = model.name, .stats = model.stats, .plan = &model.plan, .block_tokens = block_tokens});
  }
  metrics.models_loaded.with({}).set(static_cast<double>(running.size()));
  if (const auto bytes = resident_bytes()) metrics.resident_memory.with({}).set(static_cast<double>(*bytes));
  metrics.http_connections.with({}).set(static_cast<double>(services.http_counts().connections));
  const MetricsFormat format = Metrics::format_for(request.fields.find("Accept").value_or(""));
  http::Response response;
  response.fields.set("Content-Type", std::string(Metrics::content_type(format)));
  response.body = metrics.text(format);
  return response;
}

http::Response server_page(const DaemonServices& services, std::chrono::steady_clock::time_point started) {
  const http::ServerCounts counts = services.http_counts();
  const double uptime = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return native_answer({{"version", services.version},
                        {"addresses", services.addresses()},
                        {"models_folder", services.catalog_folder},
                        {"uptime_seconds", uptime},
                        {"connections", counts.connections},
                        {"requests", counts.requests}});
}

}  // namespace

void register_health_routes(http::Router& router, const DaemonServices& services) {
  const auto started = std::chrono::steady_clock::now();
  router.add({.method = http::Method::kGet,
              .pattern = "/health/deep",
              .handler = [&services](auto exchange) { exchange->respond(deep_health(services)); },
              .options = {.blocking = true, .scope = "models:read"}});
  router.add({.method = http::Method::kGet,
              .pattern = "/metrics",
              .handler = [&services](auto exchange) { exchange->respond(metrics_page(services, exchange->request())); },
              .options = {.scope = "metrics"}});
  router.add({.method = http::Method::kGet, .pattern = "/v1/server", .handler = [&services, started](auto exchange) {
                exchange->respond(server_page(services, started));
              }});
}

}  // namespace mlxr::server
