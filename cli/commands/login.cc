// mlxr login, logout: tokens of registries.

#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/input.h"
#include "core/runtime/user_folders.h"
#include "daemon/registry/transfer/credentials.h"

namespace mlxr::cli {
namespace {

Result<CredentialStore> open_store() {
  const auto folder = user_config_folder();
  if (!folder) return invalid_argument("no home folder in the environment: set HOME or XDG_CONFIG_HOME");
  return CredentialStore(*folder + "/credentials.json");
}

// A line of the terminal that is not shown.
std::string ask_token(const std::string& host) {
  fmt::print(stderr, "Token for {} (or USER:PASSWORD): ", printable(host));
  struct termios shown {};
  const bool hidden = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (hidden) {
    struct termios silent = shown;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string token;
  std::getline(std::cin, token);
  if (hidden) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fmt::print(stderr, "\n");
  }
  return token;
}

Status login(const std::string& host, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const CredentialStore store, open_store());
  std::string token;
  if (input_is_terminal()) {
    token = ask_token(host);
  } else {
    MLXR_ASSIGN_OR_RETURN(token, read_standard_input());
    while (token.ends_with('\n') || token.ends_with('\r'))
      token.pop_back();
  }
  if (token.empty()) return invalid_argument("no token was given: type it, or send it to standard input");
  MLXR_RETURN_IF_ERROR(store.set(host, token));
  if (output.json()) {
    output.write_json({{"host", host}, {"path", store.path()}});
  } else {
    output.line(fmt::format("kept for {} in {}", printable(host), printable(store.path())));
  }
  return {};
}

Status logout(const std::string& host, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const CredentialStore store, open_store());
  MLXR_RETURN_IF_ERROR(store.remove(host));
  if (output.json()) {
    output.write_json({{"removed", host}});
  } else {
    output.line("forgot the token for " + printable(host));
  }
  return {};
}

}  // namespace

CommandBody declare_login(CLI::App& app) {
  auto host = std::make_shared<std::string>("huggingface.co");
  app.add_option("host", *host, "a registry; the token is asked for, or read from standard input")
      ->capture_default_str();
  return [host](Output& output) { return login(*host, output); };
}

CommandBody declare_logout(CLI::App& app) {
  auto host = std::make_shared<std::string>("huggingface.co");
  app.add_option("host", *host, "a registry")->capture_default_str();
  return [host](Output& output) { return logout(*host, output); };
}

}  // namespace mlxr::cli
