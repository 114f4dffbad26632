#include "daemon/server/sse.h"

#include <utility>

namespace mlxr::server {

std::string sse_event(std::string_view name, std::string_view data) {
  std::string out;
  out.reserve(name.size() + data.size() + 16);
  if (!name.empty()) out.append("event: ").append(name).append("\n");
  out.append("data: ").append(data).append("\n\n");
  return out;
}

std::string sse_comment(std::string_view text) {
  return std::string(": ").append(text).append("\n\n");
}

void SseStream::event(http::Exchange& exchange, std::string_view name, std::string_view data) {
  raw(exchange, sse_event(name, data));
}

void SseStream::comment(http::Exchange& exchange, std::string_view text) {
  raw(exchange, sse_comment(text));
}

void SseStream::raw(http::Exchange& exchange, std::string piece) {
  if (!began_) {
    began_ = true;
    http::Fields fields = {{"Content-Type", "text/event-stream; charset=utf-8"},
                           {"Cache-Control", "no-cache"},
                           // Proxies such as nginx hold streams back without it.
                           {"X-Accel-Buffering", "no"}};
    for (const auto& [name, value] : fields_.entries())
      fields.add(name, value);
    exchange.begin(200, std::move(fields));
  }
  active_ = true;
  exchange.write(std::move(piece));
}

bool SseStream::take_activity() {
  return std::exchange(active_, false);
}

}  // namespace mlxr::server
