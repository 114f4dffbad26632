#include "daemon/http/connection_impl.h"

namespace mlxr::http {

using boost::asio::awaitable;
using std::chrono::steady_clock;
using TimePoint = steady_clock::time_point;
using Event = RequestReader::Event;

namespace {

constexpr std::size_t kDiskPieceBytes = std::size_t{256} << 10;
// A body may be slow, but beyond body_timeout not slower than this on the whole.
constexpr std::uint64_t kMinBodyBytesPerSecond = 1024;

}  // namespace

awaitable<Event> Connection::read_head() {
  TimePoint deadline = steady_clock::now() + core_->options.idle_timeout;
  bool started = false;
  for (;;) {
    const Event event = reader_.next();
    if (event != Event::kNeedMore) co_return event;
    if (reader_.started() && !started) {
      started = true;
      deadline = steady_clock::now() + core_->options.head_timeout;
    }
    if (eof_ || dead() || (core_->stopping && !started)) co_return Event::kNeedMore;
    if (steady_clock::now() >= deadline) {
      const std::string message = "the header did not come in time";
      if (started) co_await answer_malformed(408, message);
      co_return Event::kNeedMore;
    }
    start_read();
    co_await wait(deadline);
  }
}

Admission Connection::refuse_all() {
  Admission admission;
  RequestHead& head = reader_.head();
  admission.request.id = core_->make_id();
  admission.request.target = head.target;
  admission.request.path = head.target.substr(0, head.target.find('?'));
  admission.request.peer = peer_;
  admission.request.received = steady_clock::now();
  admission.answer = core_->error(nullptr, admission.request.path, 503, "the server has too many connections");
  admission.answer->fields.set("Retry-After", "1");
  return admission;
}

bool Connection::skip_body() {
  reader_.limit_body(std::uint64_t{1} << 20);
  Event event = reader_.next();
  while (event == Event::kBody)
    event = reader_.next();
  return event == Event::kDone;
}

awaitable<std::optional<Response>> Connection::read_body(Admission& admission, bool expects, std::uint64_t length) {
  Request& request = admission.request;
  const ServerOptions& options = core_->options;
  const auto refuse = [&](int status, const std::string& message) {
    answer_->keep_alive = false;
    return core_->error(admission.route, request.path, status, message);
  };
  std::optional<UploadFile> file;
  if (admission.route->options.body_to_file) {
    auto made = UploadFile::create(options.upload_folder);
    if (!made.ok()) co_return refuse(disk_status(made.status()), "the body cannot be stored");
    file.emplace(std::move(*made));
  } else {
    request.body.reserve(static_cast<std::size_t>(std::min(length, std::uint64_t{64} << 10)));
  }
  std::string piece;  // on its way to the disk
  const TimePoint start = last_read_ = steady_clock::now();
  const std::uint64_t read_before = read_bytes_;
  for (;;) {
    const Event event = reader_.next();
    if (event == Event::kError) co_return refuse(reader_.error().status, reader_.error().message);
    if (event == Event::kBody) (file ? piece : request.body) += reader_.piece();
    if (file && (event == Event::kDone || piece.size() >= kDiskPieceBytes)) {
      const Status stored = co_await store(*file, piece, event == Event::kDone);
      if (!stored.ok()) co_return refuse(disk_status(stored), "the body cannot be stored");
      piece.clear();
      last_read_ = steady_clock::now();
    }
    if (event == Event::kDone) break;
    if (event == Event::kBody) continue;
    if (eof_) abandoned_ = true;
    if (dead() || abandoned_) co_return std::nullopt;
    if (expects) {
      expects = false;
      set_out("HTTP/1.1 100 Continue\r\n\r\n", "");
      const bool sent = co_await flush();
      if (!sent) failed_ = true;
      continue;
    }
    const TimePoint deadline = std::min(
        last_read_ + options.body_timeout,
        start + options.body_timeout + std::chrono::seconds((read_bytes_ - read_before) / kMinBodyBytesPerSecond));
    if (steady_clock::now() >= deadline) co_return refuse(408, "the body did not come in time");
    start_read();
    co_await wait(deadline);
  }
  if (file) request.body_file = file->keep();
  co_return std::nullopt;
}

int Connection::disk_status(const Status& status) {
  return status.code() == StatusCode::kResourceExhausted ? 507 : 500;
}

awaitable<Status> Connection::store(UploadFile& file, const std::string& piece, bool last) {
  std::optional<Status> stored;
  core_->disk.submit([this, loop = loop_, &file, &piece, &stored, last] {
    Status status = file.append(piece);
    if (status.ok() && last) status = file.close();
    loop->post([this, &stored, status = std::move(status)] {
      stored = status;
      wake();
    });
  });
  while (!stored)
    co_await wait(kNever);
  co_return *stored;
}

}  // namespace mlxr::http
