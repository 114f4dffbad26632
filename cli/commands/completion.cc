// mlxr completion SHELL: a script that completes commands, options and models.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/completion_script.h"

namespace mlxr::cli {

CommandBody declare_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return [&app, shell](Output& output) -> Status {
    MLXR_ASSIGN_OR_RETURN(const std::string script, completion_script(*app.get_parent(), *shell));
    output.write(script);
    return {};
  };
}

}  // namespace mlxr::cli
