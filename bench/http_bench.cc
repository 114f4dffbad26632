// What the HTTP server adds: the time from a request to its answer on a trivial route, over a kept connection, and the
// pieces that streams carry.
//
//   http_bench [Google Benchmark's options]
//
// latency/unix, latency/tcp: p50_us and p99_us from the send to the first byte of the answer; the goal is under 1,000.
// streams/N: pieces of 40 bytes a second over N streams in all, written by one thread and read by another.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/base/check.h"
#include "daemon/http/server.h"

namespace mlxr::http {
namespace {

class BenchServer {
 public:
  BenchServer() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mlxr-bench-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    Router router;
    router.add({.method = Method::kGet, .pattern = "/hello", .handler = [](const std::shared_ptr<Exchange>& x) {
                  x->respond(text_response(200, "hello"));
                }});
    router.add({.method = Method::kGet, .pattern = "/stream", .handler = [this](const std::shared_ptr<Exchange>& x) {
                  x->begin(200, {{"Content-Type", "text/event-stream"}});
                  const std::lock_guard lock(mutex_);
                  streams_.push_back(x);
                  changed_.notify_all();
                }});
    auto server =
        Server::start(std::move(router), {.listeners = {{.unix_path = folder_ + "/s"}, {.host = "127.0.0.1"}}});
    MLXR_CHECK(server.ok(), "the server starts");
    server_ = std::move(*server);
  }
  ~BenchServer() {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  BenchServer(const BenchServer&) = delete;
  BenchServer& operator=(const BenchServer&) = delete;

  int connect(bool tcp) const {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::strncpy(local.sun_path, (folder_ + "/s").c_str(), sizeof local.sun_path - 1);
    sockaddr_in remote{};
    const std::string url = server_->addresses()[1];
    remote.sin_family = AF_INET;
    remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    remote.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
    const int fd = ::socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
    const int failed = tcp ? ::connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote)
                           : ::connect(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local);
    MLXR_CHECK(failed == 0, "the server answers");
    const int on = 1;
    if (tcp) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }

  std::vector<std::shared_ptr<Exchange>> take_streams(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return streams_.size() == count; });
    return std::exchange(streams_, {});
  }

 private:
  std::string folder_;
  std::unique_ptr<Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Exchange>> streams_;
};

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
constexpr std::string_view kStream = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";

void measure_latency(benchmark::State& state, bool tcp) {
  BenchServer server;
  const int fd = server.connect(tcp);
  std::vector<double> times;
  char bytes[4096];
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    MLXR_CHECK(::send(fd, kHello.data(), kHello.size(), 0) > 0 && ::recv(fd, bytes, sizeof bytes, 0) > 0,
               "there is an answer");
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  ::close(fd);
  std::ranges::sort(times);
  state.counters["p50_us"] = times[times.size() / 2];
  state.counters["p99_us"] = times[times.size() * 99 / 100];
}

void measure_streams(benchmark::State& state) {
  BenchServer server;
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<pollfd> peers;
  for (std::size_t i = 0; i < count; ++i) {
    peers.push_back({server.connect(i % 2 == 0), POLLIN, 0});
    MLXR_CHECK(::send(peers.back().fd, kStream.data(), kStream.size(), 0) > 0, "the request is sent");
  }
  const auto streams = server.take_streams(count);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    std::vector<char> bytes(std::size_t{1} << 16);
    while (!done) {
      ::poll(peers.data(), peers.size(), 10);
      for (const pollfd& peer : peers) {
        if ((peer.revents & POLLIN) != 0) benchmark::DoNotOptimize(::recv(peer.fd, bytes.data(), bytes.size(), 0));
      }
    }
  });
  const std::string piece(40, 'x');
  for (auto _ : state) {
    for (const auto& stream : streams) {
      // As an answer's pump does, a stream waits for a slow reader.
      while (stream->unsent_bytes() > 65536)
        std::this_thread::yield();
      stream->write(piece);
    }
  }
  done = true;
  reader.join();
  for (const pollfd& peer : peers)
    ::close(peer.fd);
  state.counters["pieces_per_s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
}

BENCHMARK_CAPTURE(measure_latency, unix, false)->Name("latency/unix")->UseRealTime()->Iterations(20'000);
BENCHMARK_CAPTURE(measure_latency, tcp, true)->Name("latency/tcp")->UseRealTime()->Iterations(20'000);
BENCHMARK(measure_streams)->Name("streams")->Arg(64)->UseRealTime()->MinTime(2);

}  // namespace
}  // namespace mlxr::http

BENCHMARK_MAIN();
