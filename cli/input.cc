#include "cli/input.h"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace mlxr::cli {

Result<std::string> argument_or_input(const std::string& argument) {
  if (argument != "-") return argument;
  return read_standard_input();
}

Result<std::string> read_standard_input() {
  std::string text;
  std::array<char, 65536> buffer;
  std::size_t count = 0;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0)
    text.append(buffer.data(), count);
  if (std::ferror(stdin) != 0) return internal("standard input cannot be read");
  return text;
}

bool input_is_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}

}  // namespace mlxr::cli
