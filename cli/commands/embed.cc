// mlxr embed MODEL TEXT...: embeddings of texts.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/input.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

struct EmbedOptions {
  std::string model;
  std::vector<std::string> texts;
  std::int64_t dimensions = 0;
};

// Lines of standard input where no text is given.
Result<std::vector<std::string>> texts_of(const EmbedOptions& options) {
  if (!options.texts.empty() || input_is_terminal()) return options.texts;
  MLXR_ASSIGN_OR_RETURN(const std::string piped, read_standard_input());
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < piped.size();) {
    const std::size_t end = std::min(piped.find('\n', start), piped.size());
    if (end > start) lines.push_back(piped.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

Status embed(const EmbedOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::vector<std::string> texts, texts_of(options));
  if (texts.empty()) return invalid_argument("nothing to embed: give texts, or lines on standard input");
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  Json body = {{"model", options.model}, {"input", texts}};
  if (options.dimensions > 0) body["dimensions"] = options.dimensions;
  MLXR_ASSIGN_OR_RETURN(const Json answer, client.call({.method = "POST", .path = "/v1/embeddings", .body = &body}));
  if (output.json()) {
    output.write_json_line(answer);
    return {};
  }
  // A line a text, for programs that read numbers.
  for (const Json& each : answer.value("data", Json::array()))
    output.line(each.value("embedding", Json::array()).dump());
  return {};
}

}  // namespace

CommandBody declare_embed(CLI::App& app) {
  auto options = std::make_shared<EmbedOptions>();
  app.add_option("model", options->model, "name of a model")->required();
  app.add_option("text", options->texts, "texts (default: the lines of standard input)");
  app.add_option("--dimensions", options->dimensions, "keep this many numbers of each, scaled to length 1")
      ->check(CLI::Range(1, 1 << 20));
  return [options](Output& output) { return embed(*options, output); };
}

}  // namespace mlxr::cli
