#pragma once
// The shell around the commands of `mlxr`: arguments, --help and --version, --json, environment, error lines and exit
// codes. A command is one row of commands.def and one file that defines
//
//   CommandBody declare_NAME(CLI::App& app);
//
// It adds its options to `app` (a CLI11 subcommand, already named and described) and returns what to do once they are
// parsed. The options live in a shared_ptr that the body captures.
//
// Everything here runs on the main thread.

#include <functional>
#include <span>

#include "cli/output.h"
#include "core/base/status.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

// What a process started by a shell answers with.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;  // the command failed; one line on stderr says why
inline constexpr int kExitUsage = 2;  // the command line makes no sense

// A Status that is not ok becomes `mlxr: MESSAGE` on stderr and exit 1. A body may throw CLI::ValidationError for an
// option whose value turns out to make no sense: exit 2.
using CommandBody = std::function<Status(Output& output)>;

enum class JsonSupport { kNoJson, kJson };

struct CommandRow {
  const char* name;
  JsonSupport json;
  const char* help;
  CommandBody (*declare)(CLI::App& app);
};

// The rows of commands.def.
std::span<const CommandRow> all_commands();

// An option of this name, in any command, takes its default from the environment variable; the flag wins.
struct EnvironmentRow {
  const char* option;
  const char* variable;
};

std::span<const EnvironmentRow> environment_options();

// Parses and runs; returns the exit code. Never throws.
int run_main(int argc, const char* const* argv);

}  // namespace mlxr::cli
