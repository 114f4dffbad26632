#include "daemon/http/request_reader.h"

#include <algorithm>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <fmt/core.h>

namespace mlxr::http {
namespace {

namespace beast = boost::beast;

constexpr std::size_t kMaxFields = 256;
constexpr std::size_t kMaxTargetBytes = std::size_t{16} << 10;
// Of the line before a chunk with its extensions, and of the trailer fields.
constexpr std::size_t kMaxChunkLineBytes = std::size_t{16} << 10;
constexpr std::size_t kMinLastChunkBytes = 5;  // "0" and two line ends

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool same_text(std::string_view a, std::string_view b) {
  return beast::iequals(beast::string_view(a.data(), a.size()), beast::string_view(b.data(), b.size()));
}

class Parser final : public beast::http::basic_parser<true> {
 public:
  RequestHead head;
  std::string piece;
  std::optional<RequestError> refused;

 private:
  using Error = beast::error_code;
  void refuse(int status, std::string message, Error& ec) {
    refused = RequestError{status, std::move(message)};
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       Error& ec) override {
    head.method = view(method);
    head.target = view(target);
    head.http11 = version == 11;
    if (target.size() > kMaxTargetBytes) {
      refuse(414, fmt::format("the request target is longer than {} bytes", kMaxTargetBytes), ec);
    }
  }
  void on_response_impl(int, beast::string_view, int, Error&) override {}

  void on_field_impl(beast::http::field field, beast::string_view name, beast::string_view value, Error& ec) override {
    if (is_header_done()) return;  // trailer fields say nothing here
    if (head.fields.entries().size() == kMaxFields) {
      return refuse(431, fmt::format("the request has more than {} header fields", kMaxFields), ec);
    }
    const bool again = head.fields.find(view(name)).has_value();
    if (field == beast::http::field::content_length) {
      const bool digits = std::ranges::all_of(view(value), [](char c) { return c >= '0' && c <= '9'; });
      if (again || !digits) return refuse(400, "Content-Length is not one plain number", ec);
    } else if (field == beast::http::field::transfer_encoding) {
      if (!head.http11) return refuse(400, "Transfer-Encoding needs HTTP/1.1", ec);
      if (again) return refuse(400, "there is more than one Transfer-Encoding", ec);
      if (!same_text(view(value), "chunked")) return refuse(501, "the only Transfer-Encoding here is chunked", ec);
    } else if (field == beast::http::field::host) {
      if (again) return refuse(400, "there is more than one Host field", ec);
    } else if (field == beast::http::field::expect) {
      if (!same_text(view(value), "100-continue")) return refuse(417, "the only Expect here is 100-continue", ec);
      head.expect_continue = head.http11;
    }
    head.fields.add(std::string(view(name)), std::string(view(value)));
  }
  void on_header_impl(Error& ec) override {
    if (head.http11 && !head.fields.find("Host")) return refuse(400, "an HTTP/1.1 request needs a Host field", ec);
    head.keep_alive = keep_alive();
    head.chunked = chunked();
    if (!head.chunked && content_length()) head.content_length = *content_length();
  }

  void on_body_init_impl(boost::optional<std::uint64_t> const&, Error&) override {}
  std::size_t on_body_impl(beast::string_view body, Error&) override {
    piece.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, Error&) override {
    piece.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(Error&) override {}
};

RequestError error_of(const Parser& parser, const beast::error_code& ec) {
  using beast::http::error;
  if (parser.refused) return *parser.refused;
  if (ec == error::bad_version) return {505, "the protocol is not HTTP/1.1 or HTTP/1.0"};
  if (ec == error::body_limit) return {413, "the body is too large"};
  if (ec == error::header_limit || ec == error::buffer_overflow) return {431, "the header fields are too large"};
  if (ec == error::bad_method || ec == error::bad_target) return {400, "the request line is malformed"};
  if (ec == error::bad_content_length || ec == error::multiple_content_length) {
    return {400, "Content-Length is not one plain number, or stands beside Transfer-Encoding"};
  }
  if (ec == error::bad_transfer_encoding) {
    return {400, "Transfer-Encoding is given twice or stands beside Content-Length"};
  }
  if (ec == error::bad_chunk || ec == error::bad_chunk_extension) return {400, "a chunk of the body is malformed"};
  if (ec == error::bad_line_ending) return {400, "a line does not end in CRLF"};
  return {400, "a header field is malformed"};
}

}  // namespace

class RequestReader::Impl {
 public:
  explicit Impl(std::size_t max_head_bytes) : max_head_bytes_(max_head_bytes) {}

  std::string buffer;
  RequestError error;

  RequestHead& head() { return parser().head; }
  std::string& piece() { return parser().piece; }
  bool started() const { return stage_ != Stage::kHead || !buffer.empty(); }
  void limit_body(std::uint64_t max_bytes) { parser().body_limit(max_bytes); }

  Event next() {
    switch (stage_) {
      case Stage::kHead:
        return next_in_head();
      case Stage::kBody:
        return next_in_body();
      case Stage::kDone:
        return Event::kDone;
      case Stage::kBroken:
        break;
    }
    return Event::kError;
  }

  void start_next() {
    parser_.reset();
    stage_ = Stage::kHead;
    scanned_ = line_start_ = 0;
    stripped_ = false;
    if (buffer.empty()) buffer.shrink_to_fit();
  }

 private:
  enum class Stage : std::uint8_t { kHead, kBody, kDone, kBroken };

  // Made with the first byte: an idle connection has none.
  Parser& parser() {
    if (parser_ == nullptr) parser_ = std::make_unique<Parser>();
    return *parser_;
  }

  Event fail(int status, std::string message) {
    stage_ = Stage::kBroken;
    error = {status, std::move(message)};
    return Event::kError;
  }

  // One empty line before a request is let through, as RFC 9112 section 2.2 asks.
  Event next_in_head() {
    if (!stripped_ && std::string_view("\r\n").starts_with(buffer)) return Event::kNeedMore;
    if (!std::exchange(stripped_, true) && buffer.starts_with("\r\n")) buffer.erase(0, 2);
    for (; scanned_ < buffer.size(); ++scanned_) {
      if (scanned_ >= max_head_bytes_) {
        if (line_start_ == 0) return fail(414, "the request line is too long");
        return fail(431, fmt::format("the header is larger than {} bytes", max_head_bytes_));
      }
      const char c = buffer[scanned_];
      const bool at_start = scanned_ == line_start_;
      const char before = scanned_ == 0 ? '\0' : buffer[scanned_ - 1];
      if (c == '\0') return fail(400, "the header has a zero byte");
      if (before == '\r' && c != '\n') return fail(400, "the header has a carriage return without a line feed");
      if (c == '\n' && before != '\r') return fail(400, "a line of the header does not end in CRLF");
      if (at_start && scanned_ != 0 && (c == ' ' || c == '\t')) return fail(400, "the header has a folded field");
      if (c == '\n') {
        const bool empty_line = scanned_ == line_start_ + 1;
        line_start_ = scanned_ + 1;
        if (empty_line) return parse_head(scanned_ + 1);
      }
    }
    return Event::kNeedMore;
  }

  Event parse_head(std::size_t size) {
    Parser& made = parser();
    made.header_limit(static_cast<std::uint32_t>(std::min(size + 1, std::size_t{1} << 30)));
    made.body_limit(boost::none);
    beast::error_code ec;
    const std::size_t used = made.put(boost::asio::buffer(buffer.data(), size), ec);
    if (ec) {
      const RequestError why = error_of(made, ec);
      return fail(why.status, why.message);
    }
    if (!made.is_header_done()) return fail(400, "the request line is malformed");
    buffer.erase(0, used);
    made.eager(true);
    stage_ = made.is_done() ? Stage::kDone : Stage::kBody;
    return Event::kHead;
  }

  Event next_in_body() {
    Parser& made = parser();
    made.piece.clear();
    // Beast asserts that a last chunk which came in part has five bytes, without which there is none.
    if (buffer.size() < (made.head.chunked ? kMinLastChunkBytes : 1)) return Event::kNeedMore;
    beast::error_code ec;
    const std::size_t used = made.put(boost::asio::buffer(buffer), ec);
    buffer.erase(0, used);
    if (ec && ec != beast::http::error::need_more) {
      const RequestError why = error_of(made, ec);
      return fail(why.status, why.message);
    }
    if (made.is_done()) stage_ = Stage::kDone;
    if (!made.piece.empty()) return Event::kBody;
    if (made.is_done()) return Event::kDone;
    if (buffer.size() > kMaxChunkLineBytes) return fail(400, "a chunk's size line or the trailer is too long");
    return Event::kNeedMore;
  }

  std::size_t max_head_bytes_;
  std::unique_ptr<Parser> parser_;
  Stage stage_ = Stage::kHead;
  bool stripped_ = false;    // the line that may stand before a request
  std::size_t scanned_ = 0;  // bytes of the head that were looked at
  std::size_t line_start_ = 0;
};

RequestReader::RequestReader(std::size_t max_head_bytes) : impl_(std::make_unique<Impl>(max_head_bytes)) {}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;

void RequestReader::feed(std::string_view bytes) {
  impl_->buffer.append(bytes);
}
RequestReader::Event RequestReader::next() {
  return impl_->next();
}
const RequestHead& RequestReader::head() const {
  return impl_->head();
}
RequestHead& RequestReader::head() {
  return impl_->head();
}
std::string& RequestReader::piece() {
  return impl_->piece();
}
const RequestError& RequestReader::error() const {
  return impl_->error;
}
void RequestReader::limit_body(std::uint64_t max_bytes) {
  impl_->limit_body(max_bytes);
}
bool RequestReader::started() const {
  return impl_->started();
}
std::size_t RequestReader::buffered_bytes() const {
  return impl_->buffer.size();
}
void RequestReader::start_next() {
  impl_->start_next();
}

std::string_view RequestReader::probable_target() const {
  const std::string_view buffer = impl_->buffer;
  const std::string_view line = buffer.substr(0, std::min(buffer.find('\r'), std::size_t{4096}));
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return "";
  const std::string_view target = line.substr(space + 1);
  return target.substr(0, std::min(target.find_first_of(" ?"), target.size()));
}

}  // namespace mlxr::http
