#pragma once
// JSON of requests and answers: objects keep the order of their members, which chat templates and clients see.

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/base/status.h"

namespace mlxr::server {

using Json = nlohmann::ordered_json;

struct BodyLimits {
  std::size_t max_depth = 64;
  std::size_t max_members = 100'000;  // of one object
};

// Text from a peer. kInvalidArgument with the byte offset for what is no JSON (invalid UTF-8, a number that no double
// holds, text behind the value), for an empty body, a member that is named twice, and what is over a limit. Time and
// memory are proportional to the text.
Result<Json> parse_json_text(std::string_view text, const BodyLimits& limits = {});

// On one line. Bytes that are not UTF-8 become U+FFFD, so that it never fails.
std::string json_text(const Json& value);
// `text` as a JSON string, quotes included.
std::string json_quoted(std::string_view text);

}  // namespace mlxr::server
