#pragma once
// Completion scripts for shells, made of the tree of commands and options as CLI11 knows it. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

// kInvalidArgument lists the shells: bash, zsh, fish.
Result<std::string> completion_script(const CLI::App& root, std::string_view shell);

}  // namespace mlxr::cli
