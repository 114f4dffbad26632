// mlxr service: the daemon as a service of this user, started with the session: systemd on Linux, launchd on macOS.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/daemon_client.h"
#include "core/base/atomic_file.h"
#include "core/runtime/user_folders.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;

#ifdef __APPLE__
constexpr bool kLaunchd = true;
#else
constexpr bool kLaunchd = false;
#endif
constexpr const char* kLabel = "mlxrunnerd";

struct ServiceOptions {
  enum class Action : std::uint8_t { kStatus, kInstall, kUninstall };
  Action action = Action::kStatus;
  bool dry_run = false;
  std::string manager = kLaunchd ? "launchd" : "systemd";
};

std::string home() {
  const char* value = std::getenv("HOME");
  return value == nullptr ? std::string() : std::string(value);
}

// Where the unit or the property list belongs; empty when there is no home.
std::string unit_path(const std::string& manager) {
  if (home().empty()) return {};
  if (manager == "launchd") return home() + "/Library/LaunchAgents/" + kLabel + ".plist";
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const std::string base = config != nullptr && config[0] == '/' ? std::string(config) : home() + "/.config";
  return base + "/systemd/user/" + kLabel + ".service";
}

// systemd reads % as a specifier, and splits at blanks outside quotes.
std::string systemd_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%') out += '%';
    out += c;
  }
  return out + "\"";
}

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string systemd_unit(const std::vector<std::string>& command) {
  std::string start;
  for (const std::string& word : command)
    start += (start.empty() ? "" : " ") + systemd_quoted(word);
  return fmt::format(
      "[Unit]\n"
      "Description=MLXR model server\n\n"
      "[Service]\n"
      "Type=notify\n"
      "ExecStart={}\n"
      "ExecReload=/bin/kill -HUP $MAINPID\n"
      "Restart=on-failure\n"
      "RestartSec=2\n"
      "LimitNOFILE=65536\n"
      "UMask=0077\n\n"
      "[Install]\n"
      "WantedBy=default.target\n",
      start);
}

std::string launchd_plist(const std::vector<std::string>& command) {
  std::string words;
  for (const std::string& word : command)
    words += "    <string>" + xml_escaped(word) + "</string>\n";
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
      "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
      "<plist version=\"1.0\">\n"
      "<dict>\n"
      "  <key>Label</key>\n  <string>{}</string>\n"
      "  <key>ProgramArguments</key>\n  <array>\n{}  </array>\n"
      "  <key>RunAtLoad</key>\n  <true/>\n"
      "  <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n"
      "  <key>StandardErrorPath</key>\n  <string>{}</string>\n"
      "</dict>\n"
      "</plist>\n",
      kLabel, words, xml_escaped(daemon_log_path()));
}

// Runs a program without a shell; its exit code, 127 when it cannot be run.
int run_program(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (::access((rest.substr(0, end) + "/" + program).c_str(), X_OK) == 0) return true;
    rest.erase(0, std::min(end + 1, rest.size()));
  }
  return false;
}

// kUnsupported, with what to do instead, where the manager is not there.
Status require_manager(const std::string& manager) {
  const char* program = manager == "launchd" ? "launchctl" : "systemctl";
  if (in_path(program)) return {};
  return unsupported(
      fmt::format("{} is not here, so that there is no {} to install into; --dry-run prints the file, "
                  "and 'mlxr serve' runs the daemon without one",
                  program, manager));
}

Status install(const ServiceOptions& options, Output& output) {
  const std::string path = unit_path(options.manager);
  if (path.empty()) return invalid_argument("no home folder in the environment: set HOME");
  const bool launchd = options.manager == "launchd";
  const std::string text = launchd ? launchd_plist(daemon_command()) : systemd_unit(daemon_command());
  if (options.dry_run) {
    if (output.json()) {
      output.write_json({{"path", path}, {"text", text}});
    } else {
      output.write(fmt::format("{} {}\n{}", launchd ? "<!--" : "#", path + (launchd ? " -->" : ""), text));
    }
    return {};
  }
  MLXR_RETURN_IF_ERROR(require_manager(options.manager));
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  MLXR_RETURN_IF_ERROR(write_file_atomically(path, text));
  const int code = launchd ? run_program({"launchctl", "load", "-w", path})
                           : (run_program({"systemctl", "--user", "daemon-reload"}) != 0
                                  ? 1
                                  : run_program({"systemctl", "--user", "enable", "--now", kLabel}));
  if (code != 0) return internal(fmt::format("{} was written, but {} did not start it", path, options.manager));
  if (output.json()) {
    output.write_json({{"installed", path}});
  } else {
    output.line("installed and started: " + path);
  }
  return {};
}

Status uninstall(const ServiceOptions& options, Output& output) {
  const std::string path = unit_path(options.manager);
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return not_found("the service is not installed");
  if (options.dry_run) {
    output.line("would stop the service and remove " + path);
    return {};
  }
  MLXR_RETURN_IF_ERROR(require_manager(options.manager));
  const bool launchd = options.manager == "launchd";
  const int code = launchd ? run_program({"launchctl", "unload", "-w", path})
                           : run_program({"systemctl", "--user", "disable", "--now", kLabel});
  if (code != 0) return internal(fmt::format("{} could not stop it; {} is still there", options.manager, path));
  if (!fs::remove(path, error)) return internal(fmt::format("{}: {}", path, error.message()));
  if (!launchd) run_program({"systemctl", "--user", "daemon-reload"});
  if (output.json()) {
    output.write_json({{"removed", path}});
  } else {
    output.line("removed " + path);
  }
  return {};
}

Status status(const ServiceOptions& options, Output& output) {
  const std::string path = unit_path(options.manager);
  std::error_code error;
  const bool installed = !path.empty() && fs::exists(path, error);
  const Result<DaemonAddress> address = daemon_address();
  const bool running = address.ok() && daemon_listens(*address);
  if (output.json()) {
    output.write_json({{"installed", installed}, {"path", path}, {"listening", running}});
    return {};
  }
  output.line(installed ? "installed: " + path : "not installed");
  if (!address.ok()) return address.status();
  output.line((running ? "listening on " : "nothing listens on ") + address->text());
  return {};
}

}  // namespace

CommandBody declare_service(CLI::App& app) {
  using Action = ServiceOptions::Action;
  auto options = std::make_shared<ServiceOptions>();
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Action action) {
    CLI::App* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    sub->callback([options, action] { options->action = action; });
    return sub;
  };
  CLI::App* installing = add("install", "Start the daemon with this user's session", Action::kInstall);
  CLI::App* removing = add("uninstall", "Stop it and take it away again", Action::kUninstall);
  add("status", "Say whether it is installed and listens", Action::kStatus);
  for (CLI::App* sub : {installing, removing})
    sub->add_flag("--dry-run", options->dry_run, "print what would be done");
  app.add_option("--manager", options->manager, "systemd or launchd")
      ->capture_default_str()
      ->check(CLI::IsMember({"systemd", "launchd"}));
  return [options](Output& output) -> Status {
    switch (options->action) {
      case Action::kInstall:
        return install(*options, output);
      case Action::kUninstall:
        return uninstall(*options, output);
      case Action::kStatus:
        break;
    }
    return status(*options, output);
  };
}

}  // namespace mlxr::cli
