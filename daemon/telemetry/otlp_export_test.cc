#include "daemon/telemetry/otlp_export.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

// A collector for a few requests: answers each with a status and keeps what was posted.
class Collector {
 public:
  explicit Collector(std::vector<int> statuses) : statuses_(std::move(statuses)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, generic, length), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, generic, &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Collector() {
    thread_.join();
    ::close(listener_);
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Once as many requests came as there are statuses.
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  void serve() {
    for (const int status : statuses_) {
      const int peer = ::accept(listener_, nullptr, nullptr);
      requests_.push_back(read_request(peer));
      const std::string answer =
          "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
      EXPECT_EQ(::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      ::close(peer);
    }
  }
  static std::string read_request(int peer) {
    std::string text;
    char buffer[4096];
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      const ssize_t got = ::recv(peer, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      const std::size_t head = text.find("\r\n\r\n");
      const std::size_t field = text.find("Content-Length: ");
      if (head != std::string::npos && field < head) wanted = head + 4 + std::stoul(text.substr(field + 16));
      const std::size_t expect = text.find("Expect: 100-continue");
      if (expect < head && text.size() == head + 4) {
        EXPECT_GT(::send(peer, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL), 0);
      }
    }
    return text;
  }

  std::vector<int> statuses_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::string> requests_;
  std::thread thread_;
};

std::shared_ptr<const RequestTrace> make_trace(const std::string& id) {
  TraceStore store(1);
  const auto trace = store.start({.request_id = id});
  store.finish(trace, "ok");
  return trace;
}

TEST(OtlpExporter, PostsBatches) {
  std::unique_ptr<OtlpExporter> exporter;
  std::vector<std::string> warnings;
  std::unique_ptr<Collector> collector = std::make_unique<Collector>(std::vector<int>{200, 503, 503});
  OtlpExporter::Options options;
  options.endpoint = collector->endpoint();
  options.warn = [&](const std::string& line) { warnings.push_back(line); };
  exporter = std::move(OtlpExporter::start(options)).value();
  exporter->add(make_trace("one"));
  exporter->flush();
  exporter->add(make_trace("two"));
  exporter->flush();
  exporter->add(make_trace("three"));
  exporter->flush();
  const OtlpExporter::Counts counts = exporter->counts();
  EXPECT_EQ(counts.sent, 1U);
  EXPECT_EQ(counts.failed, 2U);
  exporter.reset();
  ASSERT_EQ(warnings.size(), 1U);  // one for the row of failures
  EXPECT_EQ(warnings[0], collector->endpoint() + "/v1/traces: the collector answered 503");
  ASSERT_EQ(collector->requests().size(), 3U);
  const std::string& first = collector->requests()[0];
  EXPECT_TRUE(first.starts_with("POST /v1/traces HTTP/1.1\r\n"));
  EXPECT_NE(first.find("Content-Type: application/json"), std::string::npos);
  EXPECT_NE(first.find("\"one\""), std::string::npos);
}

TEST(OtlpExporter, AFullQueueDrops) {
  OtlpExporter::Options options;
  options.endpoint = "http://127.0.0.1:1";  // nobody listens there
  options.max_queued = 2;
  options.batch_delay = std::chrono::hours(1);
  const auto exporter = OtlpExporter::start(options);
  ASSERT_TRUE(exporter.ok());
  for (int i = 0; i < 5; ++i)
    (*exporter)->add(make_trace("x"));
  EXPECT_EQ((*exporter)->counts().dropped, 3U);
  (*exporter)->flush();
  EXPECT_EQ((*exporter)->counts().failed, 2U);
}

TEST(OtlpExporter, RefusesOtherAddresses) {
  OtlpExporter::Options options;
  options.endpoint = "file:///etc/passwd";
  EXPECT_FALSE(OtlpExporter::start(options).ok());
}

}  // namespace
}  // namespace mlxr
