// mlxr list, show, cp, rm: the models that the daemon has.

#include <algorithm>
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

std::string short_digest(std::string digest) {
  if (digest.starts_with("sha256:")) digest.erase(0, 7);
  return digest.substr(0, kShortDigest);
}

// Text of a model has lines; nothing else in it may drive the terminal.
std::string printable_lines(std::string_view text) {
  std::string out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    out += printable(text.substr(start, end - start)) + "\n";
    start = end + 1;
  }
  while (out.ends_with("\n\n"))
    out.pop_back();
  return out;
}

Status list_models(const std::string& prefix, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  MLXR_ASSIGN_OR_RETURN(const Json tags, client.call({.path = "/api/tags"}));
  Json kept = Json::array();
  for (const Json& model : tags.value("models", Json::array())) {
    if (text_at(model, "name").starts_with(prefix)) kept.push_back(model);
  }
  if (output.json()) {
    output.write_json({{"models", kept}});
    return {};
  }
  const std::int64_t now = std::time(nullptr);
  Table table{.header = {"NAME", "ID", "SIZE", "MODIFIED"}, .align = {}, .rows = {}};
  for (const Json& model : kept) {
    const auto modified = parse_time(text_at(model, "modified_at"));
    table.rows.push_back({printable(text_at(model, "name")), short_digest(text_at(model, "digest")),
                          format_bytes(model.value("size", 0.0)),
                          modified ? relative_time(*modified, now) : std::string("-")});
  }
  output.table(table);
  return {};
}

struct ShowOptions {
  std::string model;
  bool license = false, modelfile = false, parameters = false, show_template = false, system = false;
  bool verbose = false;
};

// The one text that was asked for; nullptr: all in short.
const char* asked_text(const ShowOptions& options) {
  if (options.license) return "license";
  if (options.modelfile) return "modelfile";
  if (options.parameters) return "parameters";
  if (options.show_template) return "template";
  return options.system ? "system" : nullptr;
}

std::string value_text(const Json& value) {
  if (value.is_string()) return printable(shortened(value.get<std::string>(), 80));
  if (value.is_array() && value.size() > 8) return fmt::format("{} values", value.size());
  return printable(value.dump());
}

void show_summary(const Json& shown, bool verbose, Output& output) {
  const auto section = [&output](const char* title, const Table& table) {
    if (table.rows.empty()) return;
    output.line(output.styled(title, Style::kBold));
    output.table(table);
    output.line("");
  };
  const Json details = shown.value("details", Json::object());
  Table model;
  const auto add = [&model](const char* name, const std::string& value) {
    if (!value.empty()) model.rows.push_back({"  " + std::string(name), printable(value)});
  };
  add("family", text_at(details, "family"));
  add("parameters", text_at(details, "parameter_size"));
  add("quantization", text_at(details, "quantization_level"));
  add("format", text_at(details, "format"));
  const Json info = shown.value("model_info", Json::object());
  for (const auto& [key, value] : info.items()) {
    if (key.ends_with(".context_length")) add("context", value.dump());
    if (key.ends_with(".embedding_length")) add("embedding", value.dump());
  }
  section("Model", model);
  Table capabilities;
  for (const Json& each : shown.value("capabilities", Json::array()))
    capabilities.rows.push_back({"  " + value_text(each)});
  section("Capabilities", capabilities);
  for (const auto& [title, key] : {std::pair("Parameters", "parameters"), std::pair("System", "system")}) {
    const std::string text = text_at(shown, key);
    if (text.empty()) continue;
    output.line(output.styled(title, Style::kBold));
    output.write(printable_lines(text));
    output.line("");
  }
  if (const std::string license = text_at(shown, "license"); !license.empty()) {
    output.line(output.styled("License", Style::kBold));
    output.line("  " + printable(shortened(license.substr(0, license.find('\n')), 80)));
    output.line("");
  }
  if (!verbose) return;
  Table metadata;
  for (const auto& [key, value] : info.items())
    metadata.rows.push_back({"  " + printable(key), value_text(value)});
  section("Metadata", metadata);
  Table tensors;
  for (const Json& tensor : shown.value("tensors", Json::array()))
    tensors.rows.push_back({"  " + printable(text_at(tensor, "name")), printable(text_at(tensor, "type")),
                            tensor.value("shape", Json::array()).dump()});
  section("Tensors", tensors);
}

Status show_model(const ShowOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  const Json body = {{"model", options.model}, {"verbose", options.verbose}};
  MLXR_ASSIGN_OR_RETURN(const Json shown, client.call({.method = "POST", .path = "/api/show", .body = &body}));
  if (output.json()) {
    output.write_json(shown);
    return {};
  }
  if (const char* what = asked_text(options)) {
    const std::string text = text_at(shown, what);
    if (text.empty()) return not_found(fmt::format("{} has no {}", options.model, what));
    output.write(printable_lines(text));
    return {};
  }
  show_summary(shown, options.verbose, output);
  return {};
}

Status copy_model(const std::string& source, const std::string& destination, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  const Json body = {{"source", source}, {"destination", destination}};
  MLXR_RETURN_IF_ERROR(client.call_text({.method = "POST", .path = "/api/copy", .body = &body}).status());
  if (output.json()) {
    output.write_json(body);
  } else {
    output.line(fmt::format("copied {} to {}", printable(source), printable(destination)));
  }
  return {};
}

Status remove_models(const std::vector<std::string>& models, Output& output) {
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  for (const std::string& model : models) {
    const Json body = {{"model", model}};
    MLXR_RETURN_IF_ERROR(client.call_text({.method = "DELETE", .path = "/api/delete", .body = &body}).status());
    if (!output.json()) output.line("deleted " + printable(model));
  }
  if (output.json()) output.write_json({{"deleted", models}});
  return {};
}

}  // namespace

CommandBody declare_list(CLI::App& app) {
  app.alias("ls");
  auto prefix = std::make_shared<std::string>();
  app.add_option("prefix", *prefix, "only models whose names begin so");
  return [prefix](Output& output) { return list_models(*prefix, output); };
}

CommandBody declare_show(CLI::App& app) {
  auto options = std::make_shared<ShowOptions>();
  app.add_option("model", options->model, "name of a model")->required();
  app.add_flag("--license", options->license, "the license alone");
  app.add_flag("--modelfile", options->modelfile, "a Modelfile that makes this model");
  app.add_flag("--parameters", options->parameters, "the parameters alone");
  app.add_flag("--template", options->show_template, "the chat template alone");
  app.add_flag("--system", options->system, "the system message alone");
  app.add_flag("-v,--verbose", options->verbose, "metadata and tensors too");
  return [options](Output& output) { return show_model(*options, output); };
}

CommandBody declare_cp(CLI::App& app) {
  auto source = std::make_shared<std::string>();
  auto destination = std::make_shared<std::string>();
  app.add_option("source", *source, "name of a model")->required();
  app.add_option("destination", *destination, "its second name")->required();
  return [source, destination](Output& output) { return copy_model(*source, *destination, output); };
}

CommandBody declare_rm(CLI::App& app) {
  auto models = std::make_shared<std::vector<std::string>>();
  app.add_option("model", *models, "names of models")->required();
  return [models](Output& output) { return remove_models(*models, output); };
}

}  // namespace mlxr::cli
