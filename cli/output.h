#pragma once
// What a command writes to its standard output: text for people, or JSON for programs under --json. Owned by the shell
// (command.h) and used from the main thread.

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"

namespace mlxr::cli {

struct OutputOptions {
  bool json = false;
  bool color = false;
};

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue };

enum class Align { kLeft, kRight };

// Columns of a text table: as wide as their widest cell, two spaces apart, the last one never padded.
struct Table {
  std::vector<std::string> header;  // empty: no header line
  std::vector<Align> align;         // one a column; left where absent
  std::vector<std::vector<std::string>> rows;
};

class Output {
 public:
  // `stream` stays the caller's and must outlive the Output.
  explicit Output(std::FILE* stream, OutputOptions options) : stream_(stream), options_(options) {}

  bool json() const { return options_.json; }
  bool color() const { return options_.color; }

  // Bytes as they are: model text, ids. Bytes from a file that people read in a terminal go through printable().
  void write(std::string_view text);
  // write() and a line feed.
  void line(std::string_view text);
  void table(const Table& table);
  // One value: indented on a terminal-sized scale, followed by a line feed. Invalid UTF-8 becomes U+FFFD.
  void write_json(const nlohmann::ordered_json& value);
  // One value on one line, for streams of events.
  void write_json_line(const nlohmann::ordered_json& value);
  // The text in a style, or unchanged where colour is off.
  std::string styled(std::string_view text, Style style) const;
  void flush();

  // Flushes; kInternal when any byte could not be written (a full disk).
  Status finish();

 private:
  std::FILE* stream_;
  OutputOptions options_;
};

// True when `descriptor` is a terminal that shows colours: NO_COLOR is unset or empty, TERM is not dumb.
bool color_wanted(int descriptor);

// The text with control characters escaped (\n, \t, \x1b ...), so that a file cannot drive the terminal.
std::string printable(std::string_view text);

// The first `max_characters` characters of UTF-8 text, "…" in place of the rest.
std::string shortened(std::string_view text, std::size_t max_characters);

// Columns that UTF-8 text takes: one a code point.
std::size_t text_width(std::string_view text);

// "17 B", "1.5 KiB", "38.1 MiB": three significant digits, powers of 1024.
std::string format_bytes(double bytes);
// "950", "1.5 K", "25.5 M", "7.24 B": three significant digits, powers of 1000.
std::string format_count(double count);
// "0:07", "12:03", "1:02:03"
std::string format_duration(double seconds);

}  // namespace mlxr::cli
