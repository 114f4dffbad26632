#include "daemon/telemetry/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxFieldBytes = 16384;  // more of a text is cut off

std::string time_text(std::int64_t unix_ns) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ns / 1000000000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ns / 1000000 % 1000);
}

// Within quotes: as JSON wants it, and nothing that a terminal would act on (C0, DEL, C1).
void append_quoted(std::string& out, std::string_view text) {
  const bool cut = text.size() > kMaxFieldBytes;
  if (cut) text = text.substr(0, kMaxFieldBytes);
  out += '"';
  while (!text.empty()) {
    const Utf8Char next = decode_utf8(text);
    const std::size_t length = next.length == 0 ? 1 : next.length;
    const char32_t code = next.code_point;
    if (next.state != Utf8State::kValid) {
      append_utf8(out, kReplacementCharacter);
    } else if (code == '"' || code == '\\') {
      out += '\\';
      out += static_cast<char>(code);
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\t') {
      out += "\\t";
    } else if (code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  if (cut) out += "...";
  out += '"';
}

bool is_bare(std::string_view text) {
  if (text.empty() || text.size() > kMaxFieldBytes) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += std::isnan(value) ? "\"nan\"" : (value > 0 ? "\"inf\"" : "\"-inf\"");
    return;
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  static_cast<void>(error);  // 32 characters hold every double
  out.append(text, end);
}

void append_value(std::string& out, const LogValue& value, bool quote_always) {
  std::visit(
      [&](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::string>) {
          if (!quote_always && is_bare(held)) {
            out += held;
          } else {
            append_quoted(out, held);
          }
        } else if constexpr (std::is_same_v<Held, bool>) {
          out += held ? "true" : "false";
        } else if constexpr (std::is_same_v<Held, double>) {
          append_number(out, held);
        } else {
          out += std::to_string(held);
        }
      },
      value.value());
}

struct Sink {
  int fd;
  bool text;
};

Result<Sink> open_sink(const Log::Options& options) {
  Sink sink{STDERR_FILENO, false};
  if (!options.file.empty()) {
    sink.fd = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (sink.fd < 0) return internal(fmt::format("{}: cannot open the log: {}", options.file, std::strerror(errno)));
  }
  sink.text = options.format == LogFormat::kText || (options.format == LogFormat::kAuto && ::isatty(sink.fd) == 1);
  return sink;
}

void close_sink(int fd) {
  if (fd != STDERR_FILENO) ::close(fd);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

LogValue::LogValue(const Secret& secret) : value_(std::string(secret.empty() ? "" : "***")) {}

std::string_view log_level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

Result<LogLevel> parse_log_level(std::string_view name) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (log_level_name(level) == name) return level;
  }
  return invalid_argument(fmt::format("\"{}\" is not a log level: debug, info, warn or error", name.substr(0, 40)));
}

Result<LogFormat> parse_log_format(std::string_view name) {
  if (name == "auto") return LogFormat::kAuto;
  if (name == "json") return LogFormat::kJson;
  if (name == "text") return LogFormat::kText;
  return invalid_argument(fmt::format("\"{}\" is not a log format: auto, json or text", name.substr(0, 40)));
}

std::string json_log_line(std::int64_t unix_ns, LogLevel level, std::string_view event, const LogField* fields,
                          std::size_t count, bool prompts) {
  std::string line =
      fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"event\":", time_text(unix_ns), log_level_name(level));
  append_quoted(line, event);
  for (std::size_t i = 0; i < count; ++i) {
    if (fields[i].second.is_prompt() && !prompts) continue;
    line += ',';
    append_quoted(line, fields[i].first);
    line += ':';
    append_value(line, fields[i].second, true);
  }
  return line + '}';
}

std::string text_log_line(std::int64_t unix_ns, LogLevel level, std::string_view event, const LogField* fields,
                          std::size_t count, bool prompts) {
  // The date is the same for a long time and the reader knows it.
  std::string line = fmt::format("{} {:<5} {}", time_text(unix_ns).substr(11, 12), log_level_name(level), event);
  for (std::size_t i = 0; i < count; ++i) {
    if (fields[i].second.is_prompt() && !prompts) continue;
    line += fmt::format(" {}=", fields[i].first);
    append_value(line, fields[i].second, false);
  }
  return line;
}

Result<std::unique_ptr<Log>> Log::open(const Options& options) {
  MLXR_ASSIGN_OR_RETURN(const Sink sink, open_sink(options));
  return std::unique_ptr<Log>(new Log(options, sink.fd, sink.text));
}

Log::Log(const Options& options, int fd, bool text) : level_(options.level), options_(options), fd_(fd), text_(text) {}

Log::~Log() {
  close_sink(fd_);
}

void Log::write(LogLevel level, std::string_view event, LogFields fields) {
  write_fields(level, event, fields.begin(), fields.size());
}

void Log::write(LogLevel level, std::string_view event, const std::vector<LogField>& fields) {
  write_fields(level, event, fields.data(), fields.size());
}

void Log::write_fields(LogLevel level, std::string_view event, const LogField* fields, std::size_t count) {
  if (!wants(level)) return;
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string line = text_ ? text_log_line(now, level, event, fields, count, options_.prompts)
                           : json_log_line(now, level, event, fields, count, options_.prompts);
  line += '\n';
  if (!write_all(fd_, line)) lost_.fetch_add(1, std::memory_order_relaxed);
}

Status Log::reopen(const Options& options) {
  MLXR_ASSIGN_OR_RETURN(const Sink sink, open_sink(options));
  const std::lock_guard<std::mutex> lock(mutex_);
  close_sink(fd_);
  fd_ = sink.fd;
  text_ = sink.text;
  options_ = options;
  level_.store(options.level, std::memory_order_relaxed);
  return {};
}

Status Log::reopen() {
  return reopen(options());
}

Log::Options Log::options() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return options_;
}

}  // namespace mlxr
