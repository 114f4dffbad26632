// mlxr pull, push: models from registries and to them.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "cli/transfer_progress.h"

namespace mlxr::cli {
namespace {

struct TransferCommand {
  std::string model;
  bool insecure = false;
};

CommandBody declare_transfer(CLI::App& app, const char* path, const char* model_help) {
  auto options = std::make_shared<TransferCommand>();
  app.add_option("model", options->model, model_help)->required();
  app.add_flag("--insecure", options->insecure, "allow http:// and certificates that do not verify");
  return [options, path](Output& output) -> Status {
    MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
    const nlohmann::ordered_json body = {{"model", options->model}, {"insecure", options->insecure}, {"stream", true}};
    return follow_transfer(client, path, body, output);
  };
}

}  // namespace

CommandBody declare_pull(CLI::App& app) {
  return declare_transfer(app, "/api/pull", "NAME[:TAG] of a registry, or hf.co/USER/REPO[:QUANTISATION]");
}

CommandBody declare_push(CLI::App& app) {
  return declare_transfer(app, "/api/push", "NAMESPACE/NAME[:TAG], or HOST/NAMESPACE/NAME[:TAG]");
}

}  // namespace mlxr::cli
