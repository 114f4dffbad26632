#pragma once
// RequestReader: the bytes of a connection cut into requests: heads, and bodies by length or in chunks (RFC 9112).
// No sockets and no clock. The grammar is Beast's; what two servers in a row could understand differently is refused
// here first: lines that do not end in CRLF, folded fields, zero bytes, more than one Content-Length, a length beside
// an encoding, encodings other than "chunked".
//
//   reader.feed(bytes);
//   switch (reader.next()) ...        kHead once, then kBody while there are pieces, then kDone; kNeedMore in between
//   reader.start_next();              after kDone; bytes of the next request may be there already
//
// One thread at a time. After kError the stream means nothing any more.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.h"

namespace mlxr::http {

struct RequestHead {
  std::string method;  // as it came: any token
  std::string target;
  bool http11 = false;  // else HTTP/1.0
  bool keep_alive = false;
  bool expect_continue = false;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;  // of a body that is not chunked
  Fields fields;
};

struct RequestError {
  int status = 400;
  std::string message;
};

class RequestReader {
 public:
  explicit RequestReader(std::size_t max_head_bytes);
  ~RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;

  // The caller stops feeding while buffered_bytes() is more than it wants to hold.
  void feed(std::string_view bytes);

  enum class Event : std::uint8_t { kNeedMore, kHead, kBody, kDone, kError };
  Event next();

  const RequestHead& head() const;
  RequestHead& head();
  // Of kBody: the bytes since the last kBody. The caller may move out of it.
  std::string& piece();
  const RequestError& error() const;

  // Of the body that follows, after kHead. A Content-Length is the caller's to check; chunks are counted here (413).
  void limit_body(std::uint64_t max_bytes);
  // Whether bytes of the current request have come.
  bool started() const;
  std::size_t buffered_bytes() const;
  void start_next();
  // The request target as far as it can be told from a head that is not whole or not good; for the shape of the error.
  std::string_view probable_target() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlxr::http
