#include "core/io/byte_reader.h"

#include <fmt/core.h>

namespace mlxr {

Status ByteReader::past_end(std::string_view what, std::uint64_t count) const {
  return corrupt(fmt::format("{} ({} bytes) at offset {} runs past the end of the file ({} bytes)", what, count,
                             offset_, bytes_.size()));
}

std::string quote_name(std::string_view name) {
  constexpr std::size_t kMaxShown = 96;
  std::string text = "\"";
  for (const char c : name.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + (name.size() > kMaxShown ? "...\"" : "\"");
}

}  // namespace mlxr
