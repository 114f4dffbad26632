#pragma once
// What the tests of the server talk through: a client of plain sockets that sends exactly the bytes it is given, and a
// server with a few routes. Reads give up after ten seconds.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/http/server.h"

namespace mlxr::http {

struct TestAnswer {
  int status = 0;  // 0: the connection ended before
  std::string head;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
  bool whole = false;
};

class TestClient {
 public:
  // "unix:/path" or "http://127.0.0.1:port", as Server::addresses() gives it.
  explicit TestClient(const std::string& address) {
    if (address.starts_with("unix:")) {
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      std::memcpy(to.sun_path, address.data() + 5, address.size() - 5);
      connect(AF_UNIX, reinterpret_cast<sockaddr*>(&to), sizeof to);
    } else {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
      connect(AF_INET, reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
  }
  ~TestClient() { close(); }
  TestClient(TestClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
  TestClient& operator=(TestClient&&) = delete;

  int fd() const { return fd_; }
  bool connected() const { return fd_ >= 0; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }
  void shut_writing() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  // False: the end, an error or the time limit; then ended() tells which.
  bool fill() {
    pollfd polled{fd_, POLLIN, 0};
    if (::poll(&polled, 1, 10000) != 1) return false;
    char bytes[16384];
    const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
    ended_ = size <= 0;
    reset_ = size < 0;
    if (size <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }
  bool ended() const { return ended_; }
  bool was_reset() const { return reset_; }

  std::string take(std::size_t size) {
    while (buffer_.size() < size && fill()) {
    }
    const std::string taken = buffer_.substr(0, size);
    buffer_.erase(0, taken.size());
    return taken;
  }
  // With the delimiter; what there is when it does not come.
  std::string take_until(std::string_view delimiter) {
    std::size_t found;
    while ((found = buffer_.find(delimiter)) == std::string::npos && fill()) {
    }
    return take(found == std::string::npos ? buffer_.size() : found + delimiter.size());
  }
  std::string take_all() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
  }

  TestAnswer read_answer(bool head_only = false) {
    TestAnswer answer;
    answer.head = take_until("\r\n\r\n");
    if (!answer.head.ends_with("\r\n\r\n") || answer.head.size() < 12) return answer;
    answer.status = std::atoi(answer.head.c_str() + 9);
    for (std::size_t start = answer.head.find("\r\n") + 2; start + 2 < answer.head.size();) {
      const std::size_t end = answer.head.find("\r\n", start);
      const std::size_t colon = answer.head.find(": ", start);
      std::string name = answer.head.substr(start, colon - start);
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
      answer.fields[name] = answer.head.substr(colon + 2, end - colon - 2);
      start = end + 2;
    }
    answer.whole = true;
    if (head_only || answer.status == 204 || answer.status < 200) return answer;
    if (answer.fields.contains("content-length")) {
      const std::size_t size = std::stoul(answer.fields["content-length"]);
      answer.body = take(size);
      answer.whole = answer.body.size() == size;
    } else if (answer.fields.contains("transfer-encoding")) {
      answer.whole = false;
      for (std::string chunk; take_chunk(chunk);) {
        if (chunk.empty()) answer.whole = true;
        if (chunk.empty()) break;
        answer.body += chunk;
      }
    } else {
      answer.body = take_all();
    }
    return answer;
  }
  // False: the connection ended within. An empty one is the last.
  bool take_chunk(std::string& chunk) {
    const std::string line = take_until("\r\n");
    if (!line.ends_with("\r\n")) return false;
    const std::size_t size = std::stoul(line, nullptr, 16);
    chunk = take(size + 2);
    if (chunk.size() != size + 2) return false;
    chunk.resize(size);
    return true;
  }
  TestAnswer ask(std::string_view request, bool head_only = false) {
    send(request);
    return read_answer(head_only);
  }

 private:
  void connect(int family, const sockaddr* to, socklen_t size) {
    fd_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd_, to, size) != 0) close();
  }

  int fd_ = -1;
  bool ended_ = false;
  bool reset_ = false;
  std::string buffer_;
};

// Values that other threads put in and the test waits for.
template <class T>
class TestQueue {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  // The next one; a default value after ten seconds.
  T take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !values_.empty(); })) {
      ADD_FAILURE() << "nothing came";
      return T{};
    }
    T value = std::move(values_.front());
    values_.erase(values_.begin());
    return value;
  }
  bool empty() {
    const std::lock_guard lock(mutex_);
    return values_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mlxr-http-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    options_.listeners = {{.unix_path = folder_ + "/s"}, {.host = "127.0.0.1"}};
    options_.upload_folder = folder_;
    options_.on_finished = [this](const ServerOptions::Record& record) {
      finished_.put({record.request.path, record.status, record.cut});
    };
    add_routes();
  }
  ~HttpServerTest() override {
    server_.reset();
    held_.clear();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    auto made = Server::start(std::move(router_), options_);
    ASSERT_TRUE(made.ok()) << made.status().message();
    server_ = std::move(*made);
  }
  TestClient unix_client() const { return TestClient(server_->addresses()[0]); }
  TestClient tcp_client() const { return TestClient(server_->addresses()[1]); }
  static std::string get(const std::string& path, const std::string& fields = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
  }
  static std::string post(const std::string& path, const std::string& body, const std::string& fields = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
  }

  void route(Method method, std::string pattern, Handler handler, RouteOptions options = {}) {
    router_.add({method, std::move(pattern), std::move(handler), std::move(options)});
  }

  struct Finished {
    std::string path;
    int status = 0;
    bool cut = false;
  };

  std::string folder_;
  Router router_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  TestQueue<std::shared_ptr<Exchange>> held_exchanges_;  // of /hold and /stream/hold
  TestQueue<std::string> events_;
  TestQueue<Finished> finished_;
  std::vector<std::shared_ptr<Exchange>> held_;

 private:
  void add_routes() {
    using Pointer = std::shared_ptr<Exchange>;
    route(Method::kGet, "/hello", [](const Pointer& x) { x->respond(text_response(200, "hello")); });
    route(Method::kPost, "/echo", [](const Pointer& x) { x->respond(text_response(200, x->request().body)); });
    route(Method::kGet, "/stream", [](const Pointer& x) {
      x->begin(200, {{"Content-Type", "text/event-stream"}});
      for (int i = 0; i < 3; ++i)
        x->write("piece " + std::to_string(i) + "\n");
      x->write("");
      x->end();
    });
    const auto hold = [this](const Pointer& x) {
      x->on_closed([this] { events_.put("closed"); });
      held_exchanges_.put(x);
    };
    route(Method::kGet, "/hold", hold);
    route(Method::kPost, "/hold", hold);
    route(Method::kGet, "/stream/hold", [hold](const Pointer& x) {
      x->begin(200, {});
      x->write("first");
      hold(x);
    });
    route(Method::kGet, "/drop", [](const Pointer&) {});
    route(Method::kGet, "/drop/begun", [](const Pointer& x) {
      x->begin(200, {});
      x->write("part");
    });
    route(Method::kGet, "/throw", [](const Pointer&) { throw std::runtime_error("no"); });
    route(Method::kGet, "/nothing", [](const Pointer& x) { x->respond({.status = 204}); });
    route(Method::kGet, "/fields", [](const Pointer& x) {
      x->respond({.status = 201,
                  .fields = {{"X-A", "b\r\nX-Injected: c"}, {"Content-Length", "99"}, {"bad name", "x"}},
                  .body = "ok"});
    });
    route(Method::kPut, "/upload/{name}",
          [this](const Pointer& x) {
            events_.put(x->request().body_file);
            x->respond(text_response(200, std::to_string(std::filesystem::file_size(x->request().body_file))));
          },
          {.max_body_bytes = std::size_t{8} << 20, .body_to_file = true});
    route(Method::kPost, "/small", [](const Pointer& x) { x->respond({.status = 204}); },
          {.max_body_bytes = 10,
           .errors = [](int status, const std::string& text) { return text_response(status, "small: " + text); }});
    route(Method::kGet, "/blocking", [](const Pointer& x) { x->respond(text_response(200, "waited")); },
          {.blocking = true});
    router_.set_errors(
        "/v1", [](int status, const std::string& text) { return json_response(status, "{\"v1\":\"" + text + "\"}"); });
  }
};

}  // namespace mlxr::http
