#pragma once
// Log: what happened, one line an event. A line is a JSON object (time, level, event, fields), or the same for people.
//
//   log.info("model.loaded", {{"model", name}, {"seconds", 1.2}});
//
// Texts of prompts go in as PromptText and are left out unless log_prompts is on; a Secret can only become "***".
// Control characters of a field never reach the terminal. Threads: all calls from any thread; a line is written whole.

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/secret.h"
#include "core/base/status.h"

namespace mlxr {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kAuto, kJson, kText };

std::string_view log_level_name(LogLevel level);
// kInvalidArgument: no such level, no such format.
Result<LogLevel> parse_log_level(std::string_view name);
Result<LogFormat> parse_log_format(std::string_view name);

// A text that people wrote or a model answered.
struct PromptText {
  std::string_view text;
};

class LogValue {
 public:
  LogValue(std::string_view text) : value_(std::string(text)) {}  // NOLINT: implicit on purpose, and below
  LogValue(const char* text) : value_(std::string(text)) {}       // NOLINT
  LogValue(const std::string& text) : value_(text) {}             // NOLINT
  LogValue(std::string&& text) : value_(std::move(text)) {}       // NOLINT
  LogValue(const Status& status) : value_(status.message()) {}    // NOLINT
  LogValue(const Secret& secret);                                 // NOLINT
  LogValue(PromptText prompt) : value_(std::string(prompt.text)), prompt_(true) {}     // NOLINT
  LogValue(bool flag) : value_(flag) {}                                                // NOLINT
  LogValue(double number) : value_(number) {}                                          // NOLINT
  LogValue(int number) : value_(std::int64_t{number}) {}                               // NOLINT
  LogValue(long number) : value_(static_cast<std::int64_t>(number)) {}                 // NOLINT
  LogValue(long long number) : value_(static_cast<std::int64_t>(number)) {}            // NOLINT
  LogValue(unsigned number) : value_(std::int64_t{number}) {}                          // NOLINT
  LogValue(unsigned long number) : value_(static_cast<std::uint64_t>(number)) {}       // NOLINT
  LogValue(unsigned long long number) : value_(static_cast<std::uint64_t>(number)) {}  // NOLINT

  using Value = std::variant<std::string, std::int64_t, std::uint64_t, double, bool>;
  const Value& value() const { return value_; }
  bool is_prompt() const { return prompt_; }

 private:
  Value value_;
  bool prompt_ = false;
};

using LogField = std::pair<std::string_view, LogValue>;
using LogFields = std::initializer_list<LogField>;

class Log {
 public:
  struct Options {
    LogLevel level = LogLevel::kInfo;
    LogFormat format = LogFormat::kAuto;
    std::string file = {};  // empty: standard error
    bool prompts = false;
  };
  // Fails when the file cannot be opened for appending; it is made with mode 0600.
  static Result<std::unique_ptr<Log>> open(const Options& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool wants(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void write(LogLevel level, std::string_view event, LogFields fields);
  void write(LogLevel level, std::string_view event, const std::vector<LogField>& fields);
  void debug(std::string_view event, LogFields fields = {}) { write(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, LogFields fields = {}) { write(LogLevel::kInfo, event, fields); }
  void warn(std::string_view event, LogFields fields = {}) { write(LogLevel::kWarn, event, fields); }
  void error(std::string_view event, LogFields fields = {}) { write(LogLevel::kError, event, fields); }

  // Opens the file again, under new options: after a reload, and after logrotate has moved the file. On an error the
  // old file stays in use.
  Status reopen(const Options& options);
  Status reopen();
  Options options() const;
  // Lines that could not be written.
  std::uint64_t num_lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  Log(const Options& options, int fd, bool text);
  void write_fields(LogLevel level, std::string_view event, const LogField* fields, std::size_t count);

  std::atomic<LogLevel> level_;
  std::atomic<std::uint64_t> lost_{0};
  mutable std::mutex mutex_;  // guards what follows
  Options options_;
  int fd_;
  bool text_;
};

// The line of an event, without its end; for tests and for whoever shows a log. `unix_ns`: time in Unix nanoseconds.
std::string json_log_line(std::int64_t unix_ns, LogLevel level, std::string_view event, const LogField* fields,
                          std::size_t count, bool prompts);
std::string text_log_line(std::int64_t unix_ns, LogLevel level, std::string_view event, const LogField* fields,
                          std::size_t count, bool prompts);

}  // namespace mlxr
