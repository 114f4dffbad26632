#include "daemon/registry/transfer/range_fetcher.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "daemon/registry/transfer/curl_handle.h"
#include "daemon/registry/transfer/url.h"

namespace mlxr {
namespace {

using Clock = std::chrono::steady_clock;

constexpr long kBufferBytes = 256 << 10;
constexpr int kPollMs = 50;
// Bytes that make a part's earlier failures forgotten.
constexpr std::uint64_t kForgiveBytes = 1 << 20;
// How much is written between two waits for the disk.
constexpr std::uint64_t kSyncBytes = 256ULL << 20;
constexpr std::size_t kErrorBodyBytes = 300;
// A part is split only when it has run this long and will run this long still.
constexpr std::chrono::seconds kSplitAge{3};

// What became of a running connection, as its write callback saw it.
enum class StreamEnd : std::uint8_t {
  kOpen,
  kPartDone,   // all that was wanted came
  kChanged,    // the reply is about another file
  kDiskError,  // see Fetcher::fatal_
};

struct Stream {
  class Fetcher* fetcher = nullptr;
  std::size_t part = 0;
  std::unique_ptr<CurlRequest> curl = {};
  bool judged = false;  // the reply's headers were looked at
  StreamEnd end = StreamEnd::kOpen;
  std::uint64_t received = 0;
  std::string error_body = {};
  Clock::time_point started = {};
  Clock::time_point last_byte = {};
};

struct PartState {
  bool running = false;
  int num_failed = 0;
  std::uint64_t since_failure = 0;
  Clock::time_point not_before = {};
};

class Fetcher {
 public:
  explicit Fetcher(const FetchJob& job)
      : job_(job), address_(job.address), multi_(make_curl_multi()), states_(job.table.parts().size()) {}
  ~Fetcher() {
    while (!streams_.empty())
      close_stream(streams_.begin());
  }
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  Result<FetchOutcome> run();
  std::size_t on_bytes(Stream& stream, const char* data, std::size_t bytes);

 private:
  using StreamList = std::list<Stream>;

  void start_streams();
  std::optional<std::size_t> next_part(Clock::time_point now);
  std::optional<std::size_t> split_slowest(Clock::time_point now);
  void open_stream(std::size_t part);
  void close_stream(StreamList::iterator stream);
  void collect_ended();
  void on_ended(Stream& stream, CURLcode code);
  void restart_stalled();
  bool judge(Stream& stream);
  void count_failure(std::size_t part, const std::string& why, std::chrono::milliseconds at_least);
  void restart_whole(std::size_t part, const std::string& why);
  void on_refused(const Stream& stream);
  void fail(Status status) {
    if (fatal_.ok()) fatal_ = std::move(status);
  }

  const FetchJob& job_;
  BlobAddress address_;
  CurlMulti multi_;
  std::vector<PartState> states_;
  StreamList streams_ = {};
  Status fatal_ = {};
  bool changed_ = false;
  bool relocate_ = false;
  std::uint64_t unsynced_ = 0;
  Clock::time_point last_byte_ = Clock::now();
};

std::size_t on_stream_bytes(char* data, std::size_t size, std::size_t count, void* user) {
  auto& stream = *static_cast<Stream*>(user);
  return stream.fetcher->on_bytes(stream, data, size * count);
}

// Looks at the headers of a reply before its first byte is kept. False: the body is not the part.
bool Fetcher::judge(Stream& stream) {
  stream.judged = true;
  const Part& part = job_.table.parts()[stream.part];
  const HttpHeaders& headers = stream.curl->reply_headers;
  const int status = stream.curl->status();
  if (status == 200 && !address_.has_ranges) {
    if (validator_of(headers) == address_.validator) return true;
    stream.end = StreamEnd::kChanged;
    return false;
  }
  if (status == 206 && address_.has_ranges) {
    const std::string* text = find_header(headers, "Content-Range");
    ContentRange range;
    const bool fits = text != nullptr && parse_content_range(*text, &range) && range.first == part.offset + part.done &&
                      range.total == address_.size && validator_of(headers) == address_.validator;
    if (!fits) stream.end = StreamEnd::kChanged;
    return fits;
  }
  if (status == 200 || status == 206 || status == 416) stream.end = StreamEnd::kChanged;
  return false;
}

std::size_t Fetcher::on_bytes(Stream& stream, const char* data, std::size_t bytes) {
  stream.last_byte = last_byte_ = Clock::now();
  if (!stream.judged && !judge(stream) && stream.end == StreamEnd::kChanged) return 0;
  const int status = stream.curl->status();
  if (status != 200 && status != 206) {
    stream.error_body.append(data, std::min(bytes, kErrorBodyBytes - stream.error_body.size()));
    return bytes;
  }
  const Part part = job_.table.parts()[stream.part];  // its end may have come nearer by a split
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, part.left()));
  std::size_t written = 0;
  while (written < wanted) {
    const ssize_t n =
        ::pwrite(job_.fd, data + written, wanted - written, static_cast<off_t>(part.offset + part.done + written));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : ENOSPC;
      const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
      fail({full ? StatusCode::kResourceExhausted : StatusCode::kInternal, std::strerror(error)});
      stream.end = StreamEnd::kDiskError;
      return 0;
    }
    written += static_cast<std::size_t>(n);
  }
  if (Status counted = job_.table.advance(stream.part, wanted); !counted.ok()) {
    fail(std::move(counted));
    stream.end = StreamEnd::kDiskError;
    return 0;
  }
  stream.received += wanted;
  states_[stream.part].since_failure += wanted;
  unsynced_ += wanted;
  job_.on_progress(job_.table.done_bytes());
  if (wanted == part.left()) {
    stream.end = StreamEnd::kPartDone;
    if (wanted < bytes) return 0;
  }
  return bytes;
}

void Fetcher::open_stream(std::size_t index) {
  const Part& part = job_.table.parts()[index];
  HttpHeaders headers = address_.headers;
  // Compressed on the way, a range would be one of other bytes.
  headers.push_back({"Accept-Encoding", "identity"});
  if (address_.has_ranges) {
    headers.push_back({"Range", fmt::format("bytes={}-{}", part.offset + part.done, part.offset + part.size - 1)});
  }
  Stream& stream = streams_.emplace_back();
  stream.fetcher = this;
  stream.part = index;
  stream.curl = make_curl_request(job_.http, address_.url, headers);
  stream.started = stream.last_byte = Clock::now();
  CURL* easy = stream.curl->easy.get();
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_stream_bytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &stream);
  states_[index].running = true;
  curl_multi_add_handle(multi_.get(), easy);
}

void Fetcher::close_stream(StreamList::iterator stream) {
  curl_multi_remove_handle(multi_.get(), stream->curl->easy.get());
  states_[stream->part].running = false;
  streams_.erase(stream);
  job_.budget.release();
}

std::optional<std::size_t> Fetcher::next_part(Clock::time_point now) {
  const auto& parts = job_.table.parts();
  bool some_wait = false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (states_[i].running || parts[i].left() == 0) continue;
    if (states_[i].not_before <= now) return i;
    some_wait = true;
  }
  return some_wait ? std::nullopt : split_slowest(now);
}

// The tail of the part that would be last, by its speed so far; nullopt when none is worth it.
std::optional<std::size_t> Fetcher::split_slowest(Clock::time_point now) {
  if (!address_.has_ranges) return std::nullopt;
  const auto& parts = job_.table.parts();
  const Stream* slowest = nullptr;
  double longest_s = std::chrono::duration<double>(kSplitAge).count();
  for (const Stream& stream : streams_) {
    const double age_s = std::chrono::duration<double>(now - stream.started).count();
    const std::uint64_t left = parts[stream.part].left();
    if (now - stream.started < kSplitAge || left < job_.settings.min_part_bytes / 2) continue;
    const double left_s = age_s * static_cast<double>(left) / static_cast<double>(stream.received + 1);
    if (left_s > longest_s) {
      longest_s = left_s;
      slowest = &stream;
    }
  }
  if (slowest == nullptr) return std::nullopt;
  const std::size_t before = parts.size();
  if (Status split = job_.table.split(slowest->part, parts[slowest->part].left() / 2); !split.ok()) {
    fail(std::move(split));
    return std::nullopt;
  }
  if (job_.table.parts().size() == before) return std::nullopt;
  states_.emplace_back();
  return before;
}

void Fetcher::start_streams() {
  const auto max_streams = static_cast<std::size_t>(job_.settings.max_parts);
  while (streams_.size() < max_streams && fatal_.ok()) {
    if (!job_.budget.try_acquire()) return;
    const std::optional<std::size_t> part = next_part(Clock::now());
    if (!part) {
      job_.budget.release();
      return;
    }
    open_stream(*part);
  }
}

void Fetcher::count_failure(std::size_t part, const std::string& why, std::chrono::milliseconds at_least) {
  PartState& state = states_[part];
  if (state.since_failure >= kForgiveBytes) state.num_failed = 0;
  state.since_failure = 0;
  ++state.num_failed;
  if (state.num_failed >= job_.settings.max_tries) {
    fail(internal(fmt::format("{} after {} tries; what was downloaded is kept", why, state.num_failed)));
    return;
  }
  state.not_before = Clock::now() + std::max(job_.http.backoff(state.num_failed), at_least);
}

void Fetcher::on_refused(const Stream& stream) {
  const int status = stream.curl->status();
  HttpReply reply{.status = status, .body = stream.error_body};
  std::string why = fmt::format("{}: {}", without_query(address_.url), reply.summary());
  if (is_passing_failure(status)) {
    count_failure(stream.part, why, retry_after(stream.curl->reply_headers).value_or(std::chrono::milliseconds(0)));
    return;
  }
  if (status == 401 || status == 403 || status == 404 || status == 410 || (status >= 300 && status < 400)) {
    // A signed address that ran out: the source knows a new one, or says what is wrong.
    relocate_ = true;
    count_failure(stream.part, why, std::chrono::milliseconds(0));
    return;
  }
  fail(invalid_argument(std::move(why)));
}

void Fetcher::on_ended(Stream& stream, CURLcode code) {
  if (!stream.judged && code == CURLE_OK) (void)judge(stream);
  switch (stream.end) {
    case StreamEnd::kPartDone:
    case StreamEnd::kDiskError:
      return;
    case StreamEnd::kChanged:
      changed_ = true;
      return;
    case StreamEnd::kOpen:
      break;
  }
  const int status = stream.curl->status();
  if (stream.judged && status != 200 && status != 206) {
    on_refused(stream);
    return;
  }
  const std::string why = code == CURLE_OK ? "the connection ended before its part did" : stream.curl->reason(code);
  const std::string line = fmt::format("{}: {}", without_query(address_.url), why);
  if (code != CURLE_OK && !is_passing_failure(code)) {
    fail(invalid_argument(line));
    return;
  }
  if (address_.has_ranges) {
    count_failure(stream.part, line, std::chrono::milliseconds(0));
  } else {
    restart_whole(stream.part, line);
  }
}

// Without ranges nothing can be asked for but the whole, so that every failure, a stall too, costs a try.
void Fetcher::restart_whole(std::size_t part, const std::string& why) {
  if (Status restarted = job_.table.restart(part); !restarted.ok()) fail(std::move(restarted));
  states_[part].since_failure = 0;
  count_failure(part, why, std::chrono::milliseconds(0));
}

void Fetcher::collect_ended() {
  int num_left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &num_left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    const auto stream =
        std::find_if(streams_.begin(), streams_.end(), [&](const Stream& s) { return s.curl->easy.get() == easy; });
    if (stream == streams_.end()) continue;
    on_ended(*stream, code);
    close_stream(stream);
  }
}

void Fetcher::restart_stalled() {
  const Clock::time_point now = Clock::now();
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    const auto next = std::next(stream);
    if (now - stream->last_byte > job_.settings.stall_timeout) {
      const std::size_t part = stream->part;
      close_stream(stream);
      if (!address_.has_ranges) restart_whole(part, "the server fell silent");
    }
    stream = next;
  }
  if (now - last_byte_ > job_.settings.give_up_timeout) {
    fail(internal(fmt::format("{}: not a byte for {} s; what was downloaded is kept", without_query(address_.url),
                              std::chrono::duration<double>(job_.settings.give_up_timeout).count())));
  }
}

Result<FetchOutcome> Fetcher::run() {
  while (!job_.table.complete()) {
    if (job_.cancel.cancelled()) return cancelled("cancelled");
    if (relocate_) {
      relocate_ = false;
      MLXR_ASSIGN_OR_RETURN(BlobAddress moved, job_.source.locate(job_.cancel));
      const bool same = moved.size == address_.size && moved.validator == address_.validator &&
                        moved.has_ranges == address_.has_ranges;
      if (!same) return FetchOutcome::kChanged;
      address_ = std::move(moved);
    }
    start_streams();
    // Waiting for a connection of the budget, or for a try's turn, is no silence of the server.
    if (streams_.empty()) last_byte_ = Clock::now();
    int num_running = 0;
    curl_multi_perform(multi_.get(), &num_running);
    collect_ended();
    if (fatal_.ok()) restart_stalled();
    if (!fatal_.ok()) return fatal_;
    if (changed_) return FetchOutcome::kChanged;
    if (unsynced_ >= kSyncBytes) {
      unsynced_ = 0;
      if (::fsync(job_.fd) == 0) MLXR_RETURN_IF_ERROR(job_.table.mark_synced());
    }
    if (!job_.table.complete()) curl_multi_poll(multi_.get(), nullptr, 0, kPollMs, nullptr);
  }
  return FetchOutcome::kComplete;
}

}  // namespace

Result<FetchOutcome> fetch_parts(const FetchJob& job) {
  Fetcher fetcher(job);
  return fetcher.run();
}

}  // namespace mlxr
