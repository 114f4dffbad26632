// Models of this machine: /api/tags, /api/ps, /api/show, /api/copy, /api/delete.

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/core.h>

#include "core/io/open_weights.h"
#include "core/io/weight_source.h"
#include "core/runtime/engine/memory_plan.h"
#include "daemon/server/ollama/model_info.h"
#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server::ollama {
namespace {

using Time = std::chrono::system_clock::time_point;

// Ollama's word for a model that stays: as far away as its durations go.
std::string for_ever(Time now) {
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return rfc3339(seconds + std::numeric_limits<std::int64_t>::max() / 1'000'000'000, 0);
}

// Of an error of the store: `name` in the words of the route.
void respond_error(const SharedExchange& exchange, const Status& status) {
  ApiError error = to_api_error(status);
  if (error.kind == ApiErrorKind::kNotFound) error.kind = ApiErrorKind::kModelNotFound;
  exchange->respond(ollama_error(error));
}

// A key with a list of models sees no others.
bool may_see(const OllamaServices& services, const SharedExchange& exchange, const std::string& name) {
  CallOptions options;
  options.model = name;
  return !identify_call(services.common, exchange->request(), "ollama", options).has_value();
}

Json tag_json(const ModelSummary& model) {
  Json out = {{"name", model.name},
              {"model", model.name},
              {"modified_at", rfc3339(model.modified)},
              {"size", model.size_bytes},
              {"digest", bare_digest(model.digest)},
              {"details", details_json(model.details)},
              {"capabilities", model.capabilities}};
  if (!model.problem.empty()) out["problem"] = model.problem;
  return out;
}

Json running_json(const OllamaServices& services, const RunningModel& model) {
  ModelRecord record;
  // A model that was deleted while it runs is in the list with what is known.
  if (Result<ModelRecord> found = services.store->resolve(model.name); found.ok()) record = std::move(found).value();
  const std::string name = record.name.empty() ? model.name : record.name;
  return {{"name", name},
          {"model", name},
          {"size", model.plan.total()},
          {"digest", bare_digest(model.digest)},
          {"details", details_json(record.details)},
          {"expires_at", model.expires.has_value() ? rfc3339(*model.expires) : for_ever(services.now())},
          // Weights and caches are in the memory of the machine.
          {"size_vram", 0},
          {"context_length", model.context}};
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    if (!out.empty()) out += "\n";
    out += text;
  }
  return out;
}

Json show_json(const ModelRecord& record, const std::string& modelfile) {
  Json out = Json::object();
  if (!record.licenses.empty()) out["license"] = joined(record.licenses);
  out["modelfile"] = modelfile;
  if (!record.parameters.empty()) out["parameters"] = parameters_text(record.parameters);
  for (const std::string* shown : {&record.chat_template, &record.go_template, &record.own_template}) {
    if (shown->empty()) continue;
    out["template"] = *shown;
    break;
  }
  if (!record.system.empty()) out["system"] = record.system;
  if (!record.renderer.empty()) out["renderer"] = record.renderer;
  if (!record.parser.empty()) out["parser"] = record.parser;
  out["details"] = details_json(record.details);
  if (!record.messages.empty()) {
    Json messages = Json::array();
    for (const ModelMessage& message : record.messages)
      messages.push_back({{"role", message.role}, {"content", message.content}});
    out["messages"] = std::move(messages);
  }
  return out;
}

bool from_copilot(const http::Request& request) {
  const auto agent = request.fields.find("User-Agent");
  return agent.has_value() && agent->find("Copilot") != std::string_view::npos;
}

struct ShowRequest {
  std::string model;
  bool verbose = false;
  std::optional<std::string> system;
  std::optional<std::string> chat_template;
};

ShowRequest read_show_request(const Json& body, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"options", FieldTreatment::kWarn, "the parameters of the model are shown as they are"}};
  ShowRequest request;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return request;
  request.model = read_ollama_model(fields);
  request.verbose = fields.boolean("verbose").value_or(false);
  request.system = fields.string("system");
  request.chat_template = fields.string("template");
  fields.treat(kOthers);
  fields.finish();
  return request;
}

Json all_of_model(const OllamaServices& services, const http::Request& request, const ShowRequest& asked,
                  ModelRecord record, std::vector<std::string>& warnings) {
  if (asked.system.has_value() && !asked.system->empty()) record.system = *asked.system;
  if (asked.chat_template.has_value() && !asked.chat_template->empty()) record.chat_template = *asked.chat_template;
  Json out = show_json(record, services.store->modelfile(record));
  const Result<std::unique_ptr<WeightSource>> source = open_weights(record.path);
  if (source.ok()) {
    out["model_info"] = model_info_json(**source, record.details, asked.verbose);
    out["tensors"] = tensors_json(**source);
  } else {
    // Clients break on null.
    out["model_info"] = {{"general.architecture", record.details.family}};
    out["tensors"] = Json::array();
    warnings.push_back(source.status().message());
  }
  if (from_copilot(request)) out["model_info"]["general.basename"] = asked.model;
  out["capabilities"] = record.capabilities;
  out["modified_at"] = rfc3339(record.modified);
  if (!record.requires_version.empty()) out["requires"] = record.requires_version;
  return out;
}

}  // namespace

Json details_json(const ModelDetails& details) {
  Json out = {{"parent_model", details.parent_model},
              {"format", details.format},
              {"family", details.family},
              {"families", details.families},
              {"parameter_size", details.parameter_size},
              {"quantization_level", details.quantization_level}};
  if (details.context_length > 0) out["context_length"] = details.context_length;
  if (details.embedding_length > 0) out["embedding_length"] = details.embedding_length;
  return out;
}

std::string bare_digest(const std::string& digest) {
  constexpr std::string_view kPrefix = "sha256:";
  return digest.starts_with(kPrefix) ? digest.substr(kPrefix.size()) : digest;
}

void answer_tags(const OllamaServices& services, const SharedExchange& exchange) {
  const Result<std::vector<ModelSummary>> models = services.store->list();
  if (!models.ok()) {
    respond_error(exchange, models.status());
    return;
  }
  Json list = Json::array();
  for (const ModelSummary& model : *models) {
    if (may_see(services, exchange, model.name)) list.push_back(tag_json(model));
  }
  exchange->respond(ollama_json_response({{"models", std::move(list)}}, {}));
}

void answer_running(const OllamaServices& services, const SharedExchange& exchange) {
  std::vector<RunningModel> models = services.common.models->running();
  // Those that stay longest first.
  std::stable_sort(models.begin(), models.end(), [](const RunningModel& a, const RunningModel& b) {
    return a.expires.value_or(Time::max()) > b.expires.value_or(Time::max());
  });
  Json list = Json::array();
  for (const RunningModel& model : models) {
    if (may_see(services, exchange, model.name)) list.push_back(running_json(services, model));
  }
  exchange->respond(ollama_json_response({{"models", std::move(list)}}, {}));
}

void answer_show(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  const ShowRequest asked = read_show_request(*body, notes);
  if (refuse(exchange, notes)) return;
  Result<ModelRecord> record = not_found("model not found");
  if (may_see(services, exchange, asked.model)) record = services.store->resolve(asked.model);
  if (!record.ok()) {
    ApiError error = to_api_error(record.status());
    if (error.kind == ApiErrorKind::kNotFound) error.message = fmt::format("model '{}' not found", asked.model);
    exchange->respond(ollama_error(error));
    return;
  }
  std::vector<std::string> warnings = std::move(notes.warnings);
  warnings.insert(warnings.end(), record->warnings.begin(), record->warnings.end());
  Json out = all_of_model(services, exchange->request(), asked, std::move(record).value(), warnings);
  exchange->respond(ollama_json_response(std::move(out), warnings));
}

void answer_copy(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  const std::string source = fields.required_string("source");
  const std::string destination = fields.required_string("destination");
  fields.finish();
  if (refuse(exchange, notes)) return;
  const Status status = services.store->copy(source, destination);
  if (!status.ok()) {
    respond_error(exchange, status);
    return;
  }
  exchange->respond({.status = 200, .fields = {}, .body = {}});
}

void answer_delete(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  JsonFields fields(*body, "", notes);
  const std::string model = read_ollama_model(fields);
  fields.finish();
  if (refuse(exchange, notes)) return;
  const Status status = services.store->remove(model);
  if (!status.ok()) {
    respond_error(exchange, status);
    return;
  }
  // It need not be loaded.
  (void)services.common.models->unload(model);
  exchange->respond({.status = 200, .fields = {}, .body = {}});
}

}  // namespace mlxr::server::ollama
