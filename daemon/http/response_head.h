#pragma once
// The head of a response as text.

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "daemon/http/message.h"

namespace mlxr::http {

enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct HeadParts {
  int status = 200;
  const Fields* fields = nullptr;  // the handler's; those that are the server's own are left out, and so is what could
                                   // end a line early
  const Fields* more = nullptr;    // the server's
  BodyFraming framing = BodyFraming::kLength;
  std::uint64_t length = 0;  // of kLength
  bool http11 = true;        // of the request
  bool keep_alive = true;
  std::string_view request_id = {};
  std::string_view date = {};
};

std::string format_head(const HeadParts& parts);

// RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::time_t time);

// Whether an answer with this status may have a body at all.
bool status_has_body(int status);

}  // namespace mlxr::http
