#include "daemon/server/ollama/ndjson.h"

#include <utility>

namespace mlxr::server {

void NdjsonStream::line(http::Exchange& exchange, const Json& value) {
  if (!std::exchange(began_, true)) {
    http::Fields head = {{"Content-Type", "application/x-ndjson"},
                         {"Cache-Control", "no-cache"},
                         // Proxies such as nginx hold streams back without it.
                         {"X-Accel-Buffering", "no"}};
    for (const auto& [name, text] : fields_.entries())
      head.add(name, text);
    exchange.begin(200, std::move(head));
  }
  exchange.write(json_text(value) + "\n");
}

}  // namespace mlxr::server
