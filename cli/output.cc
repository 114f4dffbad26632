#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace mlxr::cli {
namespace {

const char* style_code(Style style) {
  constexpr std::array<const char*, 7> kCodes = {"0", "1", "2", "31", "32", "33", "34"};
  return kCodes[static_cast<std::size_t>(style)];
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
}

std::string padded(const std::string& cell, std::size_t width, Align align) {
  const std::string spaces(width - std::min(width, text_width(cell)), ' ');
  return align == Align::kLeft ? cell + spaces : spaces + cell;
}

// Three significant digits: "1.50", "15.0", "150".
std::string three_digits(double value) {
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  return fmt::format("{:.0f}", value);
}

std::string scaled(double value, double step, std::span<const char* const> units) {
  std::size_t unit = 0;
  while (value >= step * 0.9995 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}{}", value, units[0]);
  return three_digits(value) + units[unit];
}

}  // namespace

void Output::write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream_);
}

void Output::line(std::string_view text) {
  write(text);
  std::fputc('\n', stream_);
}

void Output::table(const Table& table) {
  std::vector<std::size_t> widths;
  const auto measure = [&](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], text_width(row[i]));
  };
  measure(table.header);
  for (const auto& row : table.rows)
    measure(row);

  const auto print = [&](const std::vector<std::string>& row, Style style) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Align align = i < table.align.size() ? table.align[i] : Align::kLeft;
      const bool last = i + 1 == row.size();
      text += last && align == Align::kLeft ? row[i] : padded(row[i], widths[i], align);
      if (!last) text += "  ";
    }
    line(styled(text, style));
  };
  if (!table.header.empty()) print(table.header, Style::kBold);
  for (const auto& row : table.rows)
    print(row, Style::kPlain);
}

void Output::write_json(const nlohmann::ordered_json& value) {
  line(value.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void Output::write_json_line(const nlohmann::ordered_json& value) {
  line(value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  flush();
}

std::string Output::styled(std::string_view text, Style style) const {
  if (!options_.color || style == Style::kPlain) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", style_code(style), text);
}

void Output::flush() {
  std::fflush(stream_);
}

Status Output::finish() {
  errno = 0;
  if (std::fflush(stream_) == 0 && std::ferror(stream_) == 0) return {};
  return internal(fmt::format("standard output: {}", std::strerror(errno != 0 ? errno : EIO)));
}

bool color_wanted(int descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && no_color[0] != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return isatty(descriptor) == 1;
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F in UTF-8: a terminal takes them for control characters too.
    const bool c1 = byte == 0xc2U && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0U;
    if (byte == '\n') {
      result += "\\n";
    } else if (byte == '\t') {
      result += "\\t";
    } else if (byte == '\r') {
      result += "\\r";
    } else if (byte < 0x20U || byte == 0x7fU) {
      result += fmt::format("\\x{:02x}", byte);
    } else if (c1) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string shortened(std::string_view text, std::size_t max_characters) {
  if (text_width(text) <= max_characters) return std::string(text);
  std::size_t end = 0;
  for (std::size_t kept = 0; end < text.size(); ++end) {
    if (!starts_character(text[end])) continue;
    if (kept + 1 >= max_characters) break;
    ++kept;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string format_bytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
  return scaled(bytes, 1024.0, kUnits);
}

std::string format_count(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", " K", " M", " B", " T"};
  return scaled(count, 1000.0, kUnits);
}

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 359999.0)));
  const long long hours = total / 3600;
  const long long minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

}  // namespace mlxr::cli
