#pragma once
// Where the bytes of one blob come from. Addresses run out (signed URLs, tokens), so a source can be asked again.

#include <cstdint>
#include <string>

#include "core/base/status.h"
#include "daemon/registry/transfer/http_client.h"

namespace mlxr {

struct BlobAddress {
  std::string url;           // after redirects: answers 200 or 206
  HttpHeaders headers = {};  // to send with each request there
  bool has_ranges = false;
  std::uint64_t size = 0;
  std::string validator = {};  // ETag, else modification time, else empty
};

class BlobSource {
 public:
  virtual ~BlobSource() = default;
  // One thread at a time. Errors as Transfer::wait().
  virtual Result<BlobAddress> locate(const CancelToken& cancel) = 0;
};

// Asks `request` (a GET with its headers and authorization) for its first byte, to learn the length, whether ranges are
// served, and where redirects end. A reply of another status than 2xx is returned as it is, in `refused`.
struct ProbeReply {
  BlobAddress address = {};
  HttpReply refused = {};
  bool ok = false;
};
Result<ProbeReply> probe_blob(const HttpClient& http, HttpRequest request, const CancelToken& cancel);

// "bytes 5-9/100". False: anything else.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;
};
bool parse_content_range(std::string_view text, ContentRange* range);
// ETag or modification time; empty when there is neither.
std::string validator_of(const HttpHeaders& headers);

}  // namespace mlxr
