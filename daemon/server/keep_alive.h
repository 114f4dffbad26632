#pragma once
// How long a model stays after a request, as Ollama's clients say it.

#include <chrono>
#include <string_view>

#include "core/base/status.h"
#include "daemon/server/json_fields.h"
#include "daemon/service/generate_call.h"

namespace mlxr::server {

// A duration as Go writes it: "10m", "1h30m", "-1m", "1.5h", "0". kInvalidArgument for anything else, and for what does
// not fit 64 bits of nanoseconds.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// keep_alive: a number of seconds or a duration; negative: for ever.
void read_keep_alive(JsonFields& fields, CallOptions& options);

}  // namespace mlxr::server
