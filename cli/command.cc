#include "cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/output.h"
#include "core/base/nearest_name.h"

namespace mlxr::cli {

#define MLXR_COMMAND(name, json, help) CommandBody declare_##name(CLI::App& app);
#include "cli/commands.def"
#undef MLXR_COMMAND

namespace {

const std::vector<CommandRow>& rows() {
  static const std::vector<CommandRow> kRows = {
#define MLXR_COMMAND(name, json, help) {#name, JsonSupport::json, help, declare_##name},
#include "cli/commands.def"
#undef MLXR_COMMAND
  };
  return kRows;
}

constexpr EnvironmentRow kEnvironment[] = {
    {"--threads", "MLXR_THREADS"},
    {"--backend", "MLXR_BACKEND"},
    {"--ctx", "MLXR_CTX"},
};

struct Declared {
  const CommandRow* row;
  CLI::App* app;
  CommandBody body;
};

std::vector<Declared> declare_commands(CLI::App& root, bool& json) {
  std::vector<Declared> declared;
  for (const CommandRow& row : rows()) {
    CLI::App* app = root.add_subcommand(row.name, row.help);
    app->footer("");
    CommandBody body = row.declare(*app);
    if (row.json == JsonSupport::kJson) app->add_flag("--json", json, "Write JSON for programs");
    for (const EnvironmentRow& variable : kEnvironment) {
      if (CLI::Option* option = app->get_option_no_throw(variable.option)) option->envname(variable.variable);
    }
    declared.push_back({&row, app, std::move(body)});
  }
  return declared;
}

void print_error(std::string_view message) {
  std::fprintf(stderr, "mlxr: %s\n", printable(message).c_str());
}

int usage_error(const std::string& message, const std::string& command) {
  std::string line = message;
  while (!line.empty() && (line.back() == '\n' || line.back() == '.'))
    line.pop_back();
  print_error(line + " (see 'mlxr " + (command.empty() ? "" : command + " ") + "--help')");
  return kExitUsage;
}

// CLI11 calls a misspelt command an unexpected argument; say what it is and what was probably meant.
int unknown_command(const std::string& name) {
  std::vector<std::string> names;
  for (const CommandRow& row : rows())
    names.emplace_back(row.name);
  const std::string nearest = nearest_name(name, names);
  return usage_error("unknown command '" + name + "'" + (nearest.empty() ? "" : ", did you mean '" + nearest + "'?"),
                     "");
}

bool is_command(const std::vector<Declared>& commands, const std::string& name) {
  return std::ranges::any_of(commands, [&](const Declared& command) { return command.app->check_name(name); });
}

int run_command(const Declared& command, bool json) {
  Output output(stdout, OutputOptions{.json = json, .color = color_wanted(STDOUT_FILENO)});
  Status status = command.body(output);
  if (status.ok()) status = output.finish();
  if (status.ok()) return kExitOk;
  print_error(status.message());
  return kExitError;
}

int parse_and_run(int argc, const char* const* argv) {
  CLI::App root("Runs language models on this machine.", "mlxr");
  root.set_version_flag("--version", "mlxr " MLXR_VERSION, "Print the version");
  root.set_help_flag("-h,--help", "Print this help");
  root.option_defaults()->always_capture_default();
  root.require_subcommand(0, 1);
  root.footer("'mlxr COMMAND --help' lists the options of a command.");
  bool json = false;
  const std::vector<Declared> commands = declare_commands(root, json);

  if (argc > 1 && argv[1][0] != '-' && !is_command(commands, argv[1])) return unknown_command(argv[1]);
  std::string chosen;
  try {
    root.parse(argc, argv);
    for (const Declared& command : commands) {
      if (!command.app->parsed()) continue;
      chosen = command.row->name;
      return run_command(command, json);
    }
    return usage_error("a command is needed", "");
  } catch (const CLI::Success& success) {  // --help, --version
    return root.exit(success);
  } catch (const CLI::Error& error) {
    if (chosen.empty() && argc > 1 && argv[1][0] != '-') chosen = argv[1];
    return usage_error(error.what(), chosen);
  }
}

}  // namespace

std::span<const CommandRow> all_commands() {
  return rows();
}

std::span<const EnvironmentRow> environment_options() {
  return kEnvironment;
}

int run_main(int argc, const char* const* argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
  } catch (const std::exception& error) {
    print_error(std::string("internal error: ") + error.what());
  }
  return kExitError;
}

}  // namespace mlxr::cli
