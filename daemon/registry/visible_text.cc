#include "daemon/registry/visible_text.h"

#include "core/base/utf8.h"

namespace mlxr {

std::string visible_text(std::string_view text, std::size_t max_bytes) {
  const bool cut = text.size() > max_bytes;
  std::string out = to_valid_utf8(cut ? text.substr(0, complete_utf8_prefix(text.substr(0, max_bytes))) : text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return cut ? out + "..." : out;
}

}  // namespace mlxr
