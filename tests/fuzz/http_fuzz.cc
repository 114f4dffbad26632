// The bytes of a connection: cut into requests, admitted by a router, answered in the head. The first byte says in
// which steps they come; what they mean must not depend on it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "daemon/http/request_reader.h"
#include "daemon/http/response_head.h"
#include "daemon/http/server_core.h"

namespace mlxr::http {
namespace {

constexpr std::size_t kMaxHeadBytes = 2048;
constexpr std::uint64_t kMaxBodyBytes = 4096;

ServerCore& core() {
  static ServerCore made(
      [] {
        Router router;
        const Handler nothing = [](const std::shared_ptr<Exchange>&) {};
        router.add({.method = Method::kGet, .pattern = "/v1/models/{id}", .handler = nothing});
        router.add({.method = Method::kPost, .pattern = "/v1/chat", .handler = nothing});
        router.add({.method = Method::kGet, .pattern = "/files/{rest*}", .handler = nothing});
        return router;
      }(),
      {.allowed_origins = {"http://localhost:*"}});
  return made;
}

// All that was understood, as text.
std::string understand(std::string_view bytes, std::size_t step) {
  RequestReader reader(kMaxHeadBytes);
  std::string seen;
  std::uint64_t body = 0;
  for (;;) {
    switch (reader.next()) {
      case RequestReader::Event::kNeedMore:
        MLXR_CHECK(reader.buffered_bytes() <= kMaxHeadBytes + (std::size_t{64} << 10), "what waits is bounded");
        if (bytes.empty()) return seen;
        reader.feed(bytes.substr(0, step));
        bytes.remove_prefix(std::min(step, bytes.size()));
        break;
      case RequestReader::Event::kHead: {
        reader.limit_body(kMaxBodyBytes);
        body = 0;
        seen += reader.head().method + " " + reader.head().target + "\n";
        const bool too_large = reader.head().content_length.value_or(0) > kMaxBodyBytes;
        const Admission admission = admit(core(), reader.head(), Peer{}, "127.0.0.1");
        MLXR_CHECK(admission.answer || admission.route != nullptr, "there is an answer or a handler");
        if (admission.answer) {
          const std::string head = format_head({.status = admission.answer->status,
                                                .fields = &admission.answer->fields,
                                                .more = &admission.cors,
                                                .request_id = admission.request.id});
          MLXR_CHECK(head.find("\r\n\r\n") == head.size() - 4, "nothing ends the head early");
          seen += std::to_string(admission.answer->status) + "\n";
        }
        if (too_large) return seen;
        break;
      }
      case RequestReader::Event::kBody:
        body += reader.piece().size();
        MLXR_CHECK(body <= kMaxBodyBytes, "the body is bounded");
        break;
      case RequestReader::Event::kDone:
        seen += std::to_string(body) + "\n";
        reader.start_next();
        break;
      case RequestReader::Event::kError:
        MLXR_CHECK(reader.error().status >= 400 && reader.error().status <= 505, "an error has its status");
        return seen + std::to_string(reader.error().status);
    }
  }
}

}  // namespace
}  // namespace mlxr::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t step = std::size_t{1} + data[0] % 64;
  const std::string in_steps = mlxr::http::understand(bytes, step);
  MLXR_CHECK(in_steps == mlxr::http::understand(bytes, bytes.size() + 1), "steps change nothing");
  return 0;
}
