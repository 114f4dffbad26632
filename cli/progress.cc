#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/core.h>

#include "cli/output.h"

namespace mlxr::cli {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr std::size_t kBarColumns = 24;
constexpr std::size_t kNarrowest = 20;

std::string amount(double value, ProgressUnit unit) {
  return unit == ProgressUnit::kBytes ? format_bytes(value) : format_count(value);
}

std::string rate(double per_second, ProgressUnit unit) {
  if (unit == ProgressUnit::kTokens) return format_count(per_second) + " tok/s";
  return amount(per_second, unit) + "/s";
}

bool draws_lines(std::FILE* stream) {
  const char* terminal = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::size_t terminal_columns(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::max<std::size_t>(size.ws_col, kNarrowest);
}

}  // namespace

std::string progress_line(const ProgressOptions& options, std::uint64_t done, double seconds, std::size_t columns) {
  if (options.total > 0) done = std::min(done, options.total);
  const double per_second = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string numbers;
  std::string bar;
  if (options.total > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(options.total);
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarColumns));
    bar = " [" + std::string(filled, '=') + std::string(kBarColumns - filled, ' ') + "]";
    numbers = fmt::format(" {:3.0f}%  {}/{}", std::floor(share * 100), amount(static_cast<double>(done), options.unit),
                          amount(static_cast<double>(options.total), options.unit));
    if (done > 0) {
      const double left = static_cast<double>(options.total - done) / per_second;
      numbers += fmt::format("  {}  {} left", rate(per_second, options.unit), format_duration(left));
    }
  } else {
    numbers = fmt::format("  {}  {}", amount(static_cast<double>(done), options.unit), rate(per_second, options.unit));
  }
  // A line that wraps could not be overwritten: the bar goes first, then the end of the text.
  std::string line = options.label + bar + numbers;
  if (text_width(line) > columns) line = options.label + numbers;
  return shortened(line, columns);
}

Progress::Progress(ProgressOptions options, std::FILE* stream)
    : options_(std::move(options)),
      stream_(draws_lines(stream) ? stream : nullptr),
      start_(Clock::now()),
      next_draw_(start_ + kRedrawEvery) {}

Progress::~Progress() {
  finish();
}

void Progress::update(std::uint64_t done) {
  if (stream_ == nullptr) return;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kRedrawEvery;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = progress_line(options_, done, seconds, terminal_columns(stream_) - 1);
  std::fprintf(stream_, "\r%s\x1b[K", line.c_str());
  std::fflush(stream_);
  drawn_ = true;
}

void Progress::finish() {
  if (stream_ == nullptr || !drawn_) return;
  std::fprintf(stream_, "\r\x1b[K");
  std::fflush(stream_);
  drawn_ = false;
}

}  // namespace mlxr::cli
