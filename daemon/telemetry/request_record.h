#pragma once
// Records of requests, one JSON object a line, from which `mlxr replay` runs them again and compares tokens and times.
// They hold prompts and answers: files are made with mode 0600, and only when an operator asks for them.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct RequestRecord {
  struct Choice {
    std::uint64_t seed = 0;
    std::string finish_reason = {};
    std::vector<std::int32_t> tokens = {};
    std::string text = {};
  };

  std::string id = {};
  std::int64_t unix_ms = 0;  // arrival
  std::string dialect = {};
  std::string route = {};  // "/v1/chat/completions"
  std::string body = {};   // as it came
  std::string model = {};
  std::string model_digest = {};
  std::string version = {};  // of the program
  std::string result = {};   // "ok", "cancelled" or the error
  std::vector<std::int32_t> prompt_tokens = {};
  std::int64_t cached_tokens = 0;
  std::vector<Choice> choices = {};
  double queue_ms = 0.0;
  double first_token_ms = 0.0;
  double total_ms = 0.0;
};

std::string record_line(const RequestRecord& record);  // without the line's end
// kCorrupt names the field.
Result<RequestRecord> parse_record(std::string_view line);

class RequestRecorder {
 public:
  // Appends to a file, made with mode 0600.
  static Result<std::unique_ptr<RequestRecorder>> open(const std::string& path);
  ~RequestRecorder();
  RequestRecorder(const RequestRecorder&) = delete;
  RequestRecorder& operator=(const RequestRecorder&) = delete;

  // Any thread. A line is written whole or, when the disk is full, taken back.
  Status write(const RequestRecord& record);

 private:
  RequestRecorder(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  std::mutex mutex_;
  int fd_;
};

// All records of a file; an error names file and line. Lines longer than kMaxRecordBytes are refused.
inline constexpr std::size_t kMaxRecordBytes = std::size_t{256} << 20;
Result<std::vector<RequestRecord>> read_records(const std::string& path);

}  // namespace mlxr
