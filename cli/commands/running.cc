// mlxr ps, stop, plan, requests: what the daemon has in memory and is doing.

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/times.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShortDigest = 12;

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Status list_running(Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kNever));
  MLXR_ASSIGN_OR_RETURN(const Json running, client.call({.path = "/v1/running"}));
  if (output.json()) {
    output.write_json(running);
    return {};
  }
  const std::int64_t now = std::time(nullptr);
  Table table{.header = {"NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "REQUESTS", "UNTIL"}, .align = {}, .rows = {}};
  for (const Json& model : running.value("models", Json::array())) {
    std::string digest = text_at(model, "digest");
    if (digest.starts_with("sha256:")) digest.erase(0, 7);
    const Json expires = model.value("expires", Json());
    std::string until = "for ever";
    if (model.value("requests", 0) > 0) {
      until = "in use";
    } else if (!model.value("pinned", false) && expires.is_number_integer()) {
      until = relative_time(expires.get<std::int64_t>(), now);
    }
    table.rows.push_back({printable(text_at(model, "model")), digest.substr(0, kShortDigest),
                          format_bytes(model.value("memory", Json::object()).value("total_bytes", 0.0)), "100% CPU",
                          fmt::format("{}", model.value("context", 0)), fmt::format("{}", model.value("requests", 0)),
                          until});
  }
  output.table(table);
  return {};
}

Status stop_models(const std::vector<std::string>& models, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kNever));
  for (const std::string& model : models) {
    const Json body = {{"model", model}};
    MLXR_RETURN_IF_ERROR(client.call({.method = "POST", .path = "/v1/models/unload", .body = &body}).status());
  }
  if (output.json()) output.write_json({{"stopped", models}});
  return {};
}

struct PlanOptions {
  std::string model;
  std::int64_t context = 0;
  std::string kv_type;
};

Status show_plan(const PlanOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  Json body = {{"model", options.model}};
  if (options.context > 0) body["context"] = options.context;
  if (!options.kv_type.empty()) body["kv_type"] = options.kv_type;
  MLXR_ASSIGN_OR_RETURN(const Json plan, client.call({.method = "POST", .path = "/v1/memory/plan", .body = &body}));
  if (output.json()) {
    output.write_json(plan);
    return {};
  }
  const Json memory = plan.value("memory", Json::object());
  Table table{.header = {}, .align = {Align::kLeft, Align::kRight}, .rows = {}};
  constexpr std::pair<const char*, const char*> kParts[] = {
      {"weights", "weight_bytes"},    {"keys and values", "kv_bytes"}, {"workspace", "workspace_bytes"},
      {"draft model", "draft_bytes"}, {"swap", "swap_bytes"},          {"tokenizer", "tokenizer_bytes"},
      {"together", "total_bytes"},
  };
  for (const auto& [name, key] : kParts) {
    const double bytes = memory.value(key, 0.0);
    if (bytes > 0.0) table.rows.push_back({name, format_bytes(bytes)});
  }
  output.line(fmt::format("{} with a context of {} tokens", printable(options.model), plan.value("context", 0)));
  output.table(table);
  const double budget = plan.value("budget_bytes", 0.0);
  const double in_use = plan.value("in_use_bytes", 0.0);
  if (!plan.value("fits", false)) {
    output.line(
        fmt::format("It does not fit into {}: a shorter --context, a smaller --kv-type or a model of fewer bits "
                    "needs less.",
                    format_bytes(budget)));
    return {};
  }
  std::string others;
  for (const Json& each : plan.value("would_unload", Json::array()))
    others += (others.empty() ? "" : ", ") + printable(each.get<std::string>());
  output.line(fmt::format("It fits into {}, of which {} are in use{}.", format_bytes(budget), format_bytes(in_use),
                          others.empty() ? "" : "; these would make way: " + others));
  return {};
}

Status list_requests(DaemonClient& client, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const Json requests, client.call({.path = "/v1/requests"}));
  if (output.json()) {
    output.write_json(requests);
    return {};
  }
  Table table{
      .header = {"ID", "MODEL", "CALLER", "STATE", "PROMPT", "GENERATED", "AGE"},
      .align = {Align::kLeft, Align::kLeft, Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kRight},
      .rows = {}};
  for (const Json& each : requests.value("requests", Json::array())) {
    table.rows.push_back(
        {printable(text_at(each, "id")), printable(text_at(each, "model")), printable(text_at(each, "caller")),
         text_at(each, "state"), fmt::format("{}", each.value("prompt_tokens", 0)),
         fmt::format("{}", each.value("generated_tokens", 0)), format_duration(each.value("age_ms", 0.0) / 1000.0)});
  }
  output.table(table);
  return {};
}

struct RequestsOptions {
  std::string cancel;
  std::string trace;
};

Status requests(const RequestsOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kNever));
  if (!options.cancel.empty()) {
    MLXR_ASSIGN_OR_RETURN(
        const Json answer,
        client.call({.method = "DELETE", .path = "/v1/requests/" + escaped_path_part(options.cancel)}));
    if (output.json()) {
      output.write_json(answer);
    } else {
      output.line("cancelled " + printable(options.cancel));
    }
    return {};
  }
  if (!options.trace.empty()) {
    MLXR_ASSIGN_OR_RETURN(const Json answer,
                          client.call({.path = "/v1/requests/" + escaped_path_part(options.trace) + "/trace"}));
    output.write_json(answer);
    return {};
  }
  return list_requests(client, output);
}

}  // namespace

CommandBody declare_ps(CLI::App& /*app*/) {
  return [](Output& output) { return list_running(output); };
}

CommandBody declare_stop(CLI::App& app) {
  auto models = std::make_shared<std::vector<std::string>>();
  app.add_option("model", *models, "names of models to take out of memory")->required();
  return [models](Output& output) { return stop_models(*models, output); };
}

CommandBody declare_plan(CLI::App& app) {
  auto options = std::make_shared<PlanOptions>();
  app.add_option("model", options->model, "name of a model")->required();
  app.add_option("--context,--ctx", options->context, "tokens of context (default: the daemon's setting)")
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--kv-type", options->kv_type, "how keys and values would be stored");
  return [options](Output& output) { return show_plan(*options, output); };
}

CommandBody declare_requests(CLI::App& app) {
  auto options = std::make_shared<RequestsOptions>();
  auto* cancel = app.add_option("--cancel", options->cancel, "end the request of this id");
  app.add_option("--trace", options->trace, "what the request of this id went through, as JSON")->excludes(cancel);
  return [options](Output& output) { return requests(*options, output); };
}

}  // namespace mlxr::cli
