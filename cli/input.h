#pragma once
// What a command reads beside its files.

#include <string>

#include "core/base/status.h"

namespace mlxr::cli {

// The argument itself, or all of standard input when it is "-". kInternal when that cannot be read.
Result<std::string> argument_or_input(const std::string& argument);

// All of standard input.
Result<std::string> read_standard_input();

// Whether standard input is a terminal, so that nothing can be read from it without asking.
bool input_is_terminal();

}  // namespace mlxr::cli
