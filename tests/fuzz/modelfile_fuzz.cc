// A Modelfile from outside: parsing ends, and what can be written down reads back the same.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemon/registry/modelfile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = mlxr::parse_modelfile(text);
  if (!file.ok()) return 0;
  const auto again = mlxr::parse_modelfile(mlxr::write_modelfile(*file));
  // A text with quotes at the ends of its lines may be cut.
  const bool has_quotes = text.find('"') != std::string_view::npos;
  if (!has_quotes && (!again.ok() || *again != *file)) __builtin_trap();
  return 0;
}
