#include "cli/word_wrap.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/core.h>

namespace mlxr::cli {

std::size_t terminal_columns(int descriptor) {
  struct winsize size {};
  if (::isatty(descriptor) == 0 || ::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string WordWrap::add(std::string_view text) {
  if (columns_ == 0) return std::string(text);
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == ' ') {
      word_.clear();
      word_width_ = 0;
      column_ = c == '\n' ? 0 : column_ + 1;
      out += c;
      continue;
    }
    const bool starts_character = (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    // A word as wide as the terminal breaks where the terminal breaks it.
    if (starts_character && column_ >= columns_ && word_width_ < column_) {
      if (word_width_ > 0) out += fmt::format("\x1b[{}D\x1b[K", word_width_);
      out += '\n' + word_;
      column_ = word_width_;
    } else if (starts_character && column_ >= columns_) {
      column_ = 0;
      word_.clear();
      word_width_ = 0;
    }
    word_ += c;
    out += c;
    if (!starts_character) continue;
    ++word_width_;
    ++column_;
  }
  return out;
}

}  // namespace mlxr::cli
