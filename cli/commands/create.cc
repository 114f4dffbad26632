// mlxr create NAME -f Modelfile: sends the files that a Modelfile names, then asks the daemon to make a model of them.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/input.h"
#include "cli/progress.h"
#include "cli/transfer_progress.h"
#include "core/io/json_file.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/registry/modelfile.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct CreateOptions {
  std::string model;
  std::string file = "Modelfile";
  std::string quantize;
};

// What of a model's folder makes the model: the rest is readmes and pictures.
bool belongs_to_model(const fs::path& path) {
  constexpr std::array<std::string_view, 6> kExtensions = {".gguf",  ".safetensors", ".json",
                                                           ".model", ".txt",         ".jinja"};
  return std::ranges::find(kExtensions, path.extension().string()) != kExtensions.end();
}

// The files behind a path of a Modelfile; empty: it is the name of a model. Paths are relative to the Modelfile.
std::vector<fs::path> files_of(const std::string& text, const fs::path& folder) {
  std::error_code error;
  fs::path path = text.starts_with("~/") && std::getenv("HOME") != nullptr
                      ? fs::path(std::getenv("HOME")) / text.substr(2)
                      : folder / text;
  if (fs::is_regular_file(path, error)) return {path};
  std::vector<fs::path> files;
  if (!fs::is_directory(path, error)) return files;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error) && belongs_to_model(it->path())) files.push_back(it->path());
  }
  std::ranges::sort(files);
  return files;
}

// Sends the file unless the daemon has it; its digest.
Result<std::string> send_file(DaemonClient& client, const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  Progress progress({.label = "Reading " + path.filename().string(), .total = size, .unit = ProgressUnit::kBytes});
  const auto reading = [&progress](std::uint64_t done) {
    progress.update(done);
    return true;
  };
  MLXR_ASSIGN_OR_RETURN(const std::string digest, digest_of_file(path.string(), reading));
  const std::string url = "/api/blobs/" + digest;
  if (client.call_text({.method = "HEAD", .path = url}).ok()) return digest;
  progress.set_label("Sending " + path.filename().string());
  MLXR_RETURN_IF_ERROR(client.upload({.method = "POST", .path = url}, path.string(),
                                     [&progress](std::uint64_t sent) { progress.update(sent); }));
  return digest;
}

// {"name": "sha256:..."} of all files behind `texts`; those that are names of models go to `names`.
Result<Json> send_files(DaemonClient& client, const std::vector<std::string>& texts, const fs::path& folder,
                        std::vector<std::string>& names) {
  Json sent = Json::object();
  for (const std::string& text : texts) {
    const std::vector<fs::path> files = files_of(text, folder);
    if (files.empty()) {
      if (text.starts_with('/') || text.starts_with('.') || text.ends_with(".gguf"))
        return not_found(fmt::format("{}: no such file, or a folder without a model", text));
      names.push_back(text);
    }
    for (const fs::path& file : files) {
      MLXR_ASSIGN_OR_RETURN(sent[file.filename().string()], send_file(client, file));
    }
  }
  return sent;
}

void add_texts(const Modelfile& file, Json& body) {
  if (file.template_text) body["template"] = *file.template_text;
  if (file.system) body["system"] = *file.system;
  if (!file.licenses.empty()) body["license"] = file.licenses;
  if (!file.parameters.empty()) body["parameters"] = Json::parse(parameters_to_json(file.parameters), nullptr, false);
  if (!file.renderer.empty()) body["renderer"] = file.renderer;
  if (!file.parser.empty()) body["parser"] = file.parser;
  if (!file.requires_version.empty()) body["requires"] = file.requires_version;
  for (const ModelMessage& message : file.messages)
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
}

Status create(const CreateOptions& options, Output& output) {
  const bool piped = options.file == "-";
  Result<std::string> text = piped ? read_standard_input() : read_text_file(options.file);
  if (!text.ok()) return text.status();
  const Result<Modelfile> file = parse_modelfile(*text);
  if (!file.ok()) return file.status().with_context(options.file);
  const fs::path folder = piped ? fs::path(".") : fs::path(options.file).parent_path();
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  Json body = {{"model", options.model}, {"stream", true}};
  std::vector<std::string> names, no_names;
  MLXR_ASSIGN_OR_RETURN(Json files, send_files(client, file->from, folder, names));
  if (names.size() + (files.empty() ? 0 : 1) != 1)
    return invalid_argument(fmt::format("{}: FROM is one model or files, not both", options.file));
  if (!names.empty()) body["from"] = names.front();
  if (!files.empty()) body["files"] = std::move(files);
  MLXR_ASSIGN_OR_RETURN(Json adapters, send_files(client, file->adapters, folder, no_names));
  if (!adapters.empty()) body["adapters"] = std::move(adapters);
  MLXR_ASSIGN_OR_RETURN(Json drafts, send_files(client, file->drafts, folder, no_names));
  if (!drafts.empty()) body["draft_files"] = std::move(drafts);
  if (!no_names.empty())
    return invalid_argument(
        fmt::format("{}: {} is no file; ADAPTER and DRAFT name files", options.file, no_names.front()));
  if (!options.quantize.empty()) body["quantize"] = options.quantize;
  add_texts(*file, body);
  return follow_transfer(client, "/api/create", body, output);
}

}  // namespace

CommandBody declare_create(CLI::App& app) {
  auto options = std::make_shared<CreateOptions>();
  app.add_option("model", options->model, "name of the new model")->required();
  app.add_option("-f,--file", options->file, "the Modelfile; -: standard input")->capture_default_str();
  app.add_option("-q,--quantize", options->quantize, "store its matrices so, such as Q4_K_M");
  return [options](Output& output) { return create(*options, output); };
}

}  // namespace mlxr::cli
