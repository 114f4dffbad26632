#pragma once
// Server-sent events over an exchange. The head is sent as late as possible, so that an error that comes before the
// first event keeps its HTTP status.

#include <string>
#include <string_view>

#include "daemon/http/exchange.h"

namespace mlxr::server {

// One event; `data` must have no line breaks (JSON text has none). An empty name is left out.
std::string sse_event(std::string_view name, std::string_view data);
// What readers skip.
std::string sse_comment(std::string_view text);

// Used on the exchange's sequence only.
class SseStream {
 public:
  explicit SseStream(http::Fields fields = {}) : fields_(std::move(fields)) {}

  // Of the head, as long as it is not sent.
  http::Fields& fields() { return fields_; }
  bool began() const { return began_; }
  // Each sends the head first when that has not happened.
  void event(http::Exchange& exchange, std::string_view name, std::string_view data);
  void data(http::Exchange& exchange, std::string_view text) { event(exchange, {}, text); }
  void comment(http::Exchange& exchange, std::string_view text);
  void raw(http::Exchange& exchange, std::string piece);
  // Whether something was written since this was last asked.
  bool take_activity();

 private:
  http::Fields fields_;
  bool began_ = false;
  bool active_ = false;
};

}  // namespace mlxr::server
