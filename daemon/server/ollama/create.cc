// /api/create.

#include "daemon/registry/create.h"

#include <mutex>
#include <utility>

#include <fmt/core.h>

#include "daemon/registry/digest.h"
#include "daemon/registry/model_name.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/server/answer_json.h"
#include "daemon/server/ollama/ndjson.h"
#include "daemon/server/ollama/ollama_handlers.h"

namespace mlxr::server::ollama {
namespace {

constexpr std::size_t kMaxFiles = 4096;
constexpr std::size_t kMaxLicenses = 64;
constexpr std::size_t kMaxMessages = 1024;

// {name: digest}. A name stays inside of the model's folder.
std::vector<NamedBlob> read_blobs(JsonFields& fields, std::string_view name) {
  std::vector<NamedBlob> out;
  const Json* files = fields.object(name);
  if (files == nullptr) return out;
  if (files->size() > kMaxFiles) fields.invalid(name, fmt::format("has more than {} files", kMaxFiles));
  for (const auto& [file, value] : files->get_ref<const Json::object_t&>()) {
    if (!fields.notes().ok()) return out;
    if (!value.is_string()) {
      fields.invalid(fmt::format("{}.{}", name, file), "must be the digest of an uploaded blob");
      return out;
    }
    Result<std::string> digest = parse_digest(value.get_ref<const std::string&>());
    const bool leaves = file.empty() || file.front() == '/' || file.find('\\') != std::string::npos ||
                        ("/" + file + "/").find("/../") != std::string::npos;
    if (leaves) {
      fields.notes().fail(ApiErrorKind::kInvalidRequest, std::string(name),
                          fmt::format("file path {} must be relative and stay in its folder", json_quoted(file)));
    } else if (!digest.ok()) {
      fields.notes().fail(ApiErrorKind::kInvalidRequest, std::string(name), digest.status().message());
    } else {
      out.emplace_back(file, std::move(digest).value());
    }
  }
  return out;
}

std::optional<std::vector<ModelMessage>> read_messages(JsonFields& fields) {
  const Json* messages = fields.array("messages");
  if (messages == nullptr) return std::nullopt;
  if (messages->size() > kMaxMessages) fields.invalid("messages", "are too many");
  std::vector<ModelMessage> out;
  for (std::size_t i = 0; i < messages->size() && fields.notes().ok(); ++i) {
    JsonFields message((*messages)[i], fmt::format("messages[{}].", i), fields.notes());
    ModelMessage& read = out.emplace_back();
    if (!message.has("role")) message.invalid("role", "is missing");
    read.role = message.choice("role", {"system", "user", "assistant"}).value_or("");
    read.content = message.string("content").value_or("");
    message.finish();
  }
  return out;
}

ModelParameters read_parameters(JsonFields& fields) {
  const Json* parameters = fields.object("parameters");
  if (parameters == nullptr) return {};
  // The registry's reader takes JSON whose members are sorted.
  Result<ModelParameters> read = parameters_from_json(nlohmann::json(*parameters));
  if (read.ok()) return std::move(read).value();
  fields.notes().fail(ApiErrorKind::kInvalidRequest, "parameters", read.status().message());
  return {};
}

struct CreateCall {
  CreateRequest request;
  bool stream = true;
};

CreateCall read_create_request(const Json& body, RequestNotes& notes) {
  static constexpr KnownField kOthers[] = {
      {"modelfile", FieldTreatment::kRefuse, "say from, files and the rest as fields"},
      {"path", FieldTreatment::kRefuse, "upload the files to /api/blobs and name them in files"},
      {"info", FieldTreatment::kRefuse, "a model's metadata is that of its files"},
      {"remote_host", FieldTreatment::kRefuse, "models run on this machine"},
  };
  CreateCall call;
  JsonFields fields(body, "", notes);
  if (!notes.ok()) return call;
  CreateRequest& request = call.request;
  request.model = read_ollama_model(fields);
  request.from = fields.string("from").value_or("");
  request.files = read_blobs(fields, "files");
  request.adapters = read_blobs(fields, "adapters");
  request.draft_files = read_blobs(fields, "draft_files");
  request.quantize = fields.string("quantize").value_or("");
  const std::string old_name = fields.string("quantization").value_or("");
  if (request.quantize.empty()) request.quantize = old_name;
  request.draft_quantize = fields.string("draft_quantize").value_or("");
  request.template_text = fields.string("template");
  request.system = fields.string("system");
  request.licenses = fields.strings("license", kMaxLicenses);
  request.messages = read_messages(fields);
  request.parameters = read_parameters(fields);
  request.renderer = fields.string("renderer").value_or("");
  request.parser = fields.string("parser").value_or("");
  request.requires_version = fields.string("requires").value_or("");
  call.stream = fields.boolean("stream").value_or(true);
  fields.treat(kOthers);
  fields.finish();
  if (!notes.ok()) return call;
  if (const Result<ModelName> name = parse_model_name(request.model); !name.ok()) {
    notes.fail(ApiErrorKind::kInvalidRequest, "model", name.status().message());
  } else if (request.from.empty() && request.files.empty()) {
    notes.fail(ApiErrorKind::kInvalidRequest, "from", "neither 'from' or 'files' was specified");
  }
  return call;
}

Json progress_json(const RegistryProgress& progress) {
  Json out = {{"status", progress.status}};
  if (progress.digest.empty()) return out;
  out["digest"] = progress.digest;
  out["total"] = progress.total_bytes;
  if (progress.completed_bytes > 0) out["completed"] = progress.completed_bytes;
  return out;
}

}  // namespace

void answer_create(const OllamaServices& services, const SharedExchange& exchange) {
  const std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  const CreateCall call = read_create_request(*body, notes);
  if (refuse(exchange, notes)) return;
  NdjsonStream lines;
  add_warnings(lines.fields(), notes.warnings);
  std::mutex mutex;  // progress may come from the threads of a conversion, one after the other
  const ProgressSink sink = [&](const RegistryProgress& progress) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (exchange->closed()) return false;
    if (call.stream) lines.line(*exchange, progress_json(progress));
    return true;
  };
  const Status status = services.store->create(call.request, sink);
  if (status.ok() && lines.began()) {
    exchange->end();
  } else if (status.ok()) {
    exchange->respond(ollama_json_response({{"status", "success"}}, notes.warnings));
  } else if (lines.began()) {
    lines.line(*exchange, {{"error", status.message()}});
    exchange->end();
  } else {
    exchange->respond(ollama_error(to_api_error(status)));
  }
}

}  // namespace mlxr::server::ollama
