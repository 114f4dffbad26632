#pragma once
// Breaks lines of text that comes in pieces between words, as wide as a terminal. A word that turns out to be too long
// for its line has already been shown up to where the piece ended: it is wiped and written again on the next line.

#include <cstddef>
#include <string>
#include <string_view>

namespace mlxr::cli {

// Columns of the terminal behind `descriptor`; 0: it is none.
std::size_t terminal_columns(int descriptor);

class WordWrap {
 public:
  // 0 columns: text passes as it is.
  explicit WordWrap(std::size_t columns) : columns_(columns) {}
  // What to write for the next piece of text.
  std::string add(std::string_view text);

 private:
  std::size_t columns_;
  std::size_t column_ = 0;
  std::string word_;            // since the last blank
  std::size_t word_width_ = 0;  // its columns
};

}  // namespace mlxr::cli
