#pragma once
// A line on standard error that shows how far long work is: label, bar, share, rate, time left. Shown on a terminal
// only, redrawn at most ten times a second, gone when the work ends.
//
//   Progress progress({.label = "Quantizing", .total = bytes, .unit = ProgressUnit::kBytes});
//   while (...) progress.update(done);

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace mlxr::cli {

enum class ProgressUnit { kCount, kBytes, kTokens };

struct ProgressOptions {
  std::string label;
  std::uint64_t total = 0;  // 0: not known; no bar and no time left
  ProgressUnit unit = ProgressUnit::kCount;
};

// The line for work that stands at `done` after `seconds`, in at most `columns` columns. Pure.
std::string progress_line(const ProgressOptions& options, std::uint64_t done, double seconds, std::size_t columns);

// One thread at a time.
class Progress {
 public:
  // Draws to `stream` where it is a terminal that understands "\r"; else the object does nothing.
  explicit Progress(ProgressOptions options, std::FILE* stream = stderr);
  ~Progress();  // finish()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` counts from the start of the work.
  void update(std::uint64_t done);
  // For totals that are learnt, or change, on the way.
  void set_total(std::uint64_t total) { options_.total = total; }
  void set_label(std::string label) { options_.label = std::move(label); }
  // Removes the line. Text may be written to the terminal afterwards.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  ProgressOptions options_;
  std::FILE* stream_;  // nullptr: silent
  Clock::time_point start_;
  Clock::time_point next_draw_;
  bool drawn_ = false;
};

}  // namespace mlxr::cli
