#pragma once
// Answers of /api/generate and /api/chat: the lines of a stream and whole objects.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/server/answer_pump.h"
#include "daemon/server/json.h"

namespace mlxr::server {

struct OllamaHead {
  std::string model;  // as the request names it
  bool chat = false;
  bool with_context = false;
  std::vector<std::string> warnings = {};  // of reading the request
  std::function<std::chrono::system_clock::time_point()> now = {};
};

std::unique_ptr<AnswerWriter> ollama_stream_writer(OllamaHead head);
http::Response ollama_response(const OllamaHead& head, const CollectedAnswer& answer);
// Of a model that was loaded or unloaded: done_reason "load" or "unload".
http::Response ollama_empty_response(const OllamaHead& head, const char* done_reason);
// With _debug_info instead of an answer.
http::Response ollama_render_response(const OllamaHead& head, const CollectedAnswer& answer);

// RFC 3339 in UTC, with as many digits of a second as it takes.
std::string rfc3339(std::chrono::system_clock::time_point time);
std::string rfc3339(std::int64_t unix_seconds, std::int64_t nanoseconds);
// Nanoseconds, as all durations are.
std::int64_t nanoseconds_of(double ms);
// An object with the warnings in it and in the header.
http::Response ollama_json_response(Json body, const std::vector<std::string>& warnings);

}  // namespace mlxr::server
