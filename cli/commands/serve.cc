// mlxr serve: the daemon in the foreground, in this process.

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "daemon/server/daemon_flags.h"

namespace mlxr::cli {
namespace {

Status serve(const std::vector<std::string>& arguments, Output& output) {
  using server::DaemonFlags;
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(argument.c_str());
  Result<DaemonFlags> flags = server::parse_daemon_flags(pointers);
  if (!flags.ok()) throw CLI::ValidationError("serve", flags.status().message());
  if (flags->action == DaemonFlags::Action::kHelp) {
    output.write(server::daemon_help());
    return {};
  }
  if (flags->action == DaemonFlags::Action::kVersion) {
    output.line("mlxr " MLXR_VERSION);
    return {};
  }
  flags->options.version = MLXR_VERSION;
  return server::run_daemon(std::move(flags->options));
}

}  // namespace

CommandBody declare_serve(CLI::App& app) {
  app.alias("start");
  app.prefix_command();   // what follows is the daemon's to read
  app.set_help_flag("");  // its help too
  return [&app](Output& output) {
    std::vector<std::string> arguments = app.remaining();
    return serve(arguments, output);
  };
}

}  // namespace mlxr::cli
