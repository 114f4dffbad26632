// Listeners, limits of connections, the end of a server, and clients that other people wrote.
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include <fmt/core.h>

#include "daemon/http/http_test_client.h"
#include "daemon/http/server.h"

namespace mlxr::http {
namespace {

using ServerListenTest = HttpServerTest;
using Pointer = std::shared_ptr<Exchange>;
using std::chrono::steady_clock;

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char bytes[4096];
  for (std::size_t size; (size = std::fread(bytes, 1, sizeof bytes, pipe)) > 0;)
    output.append(bytes, size);
  pclose(pipe);
  return output;
}

TEST_F(ServerListenTest, MakesASocketForItsOwnerOnly) {
  const mode_t mask = umask(0);
  start();
  umask(mask);
  struct stat info {};
  ASSERT_EQ(stat((folder_ + "/s").c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(server_->addresses()[0], "unix:" + folder_ + "/s");
  EXPECT_TRUE(server_->addresses()[1].starts_with("http://127.0.0.1:"));
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/s"));
}

TEST_F(ServerListenTest, TakesThePlaceOfADeadServerOnly) {
  const std::string path = folder_ + "/s";
  ServerOptions options{.listeners = {{.unix_path = path}}};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  auto first = Server::start(Router(), options);
  ASSERT_TRUE(first.ok()) << first.status().message();
  const auto second = Server::start(Router(), options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(), path + ": another server answers at this socket");
  EXPECT_EQ(TestClient("unix:" + path).ask(get("/")).status, 404);

  // One that another server has replaced is not removed.
  std::filesystem::remove(path);
  auto third = Server::start(Router(), options);
  ASSERT_TRUE(third.ok());
  first = internal("gone");
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ServerListenTest, SaysWhyItCannotListen) {
  std::ofstream(folder_ + "/file") << "text";
  auto other = Server::start(Router(), {.listeners = {{.host = "127.0.0.1"}}});
  ASSERT_TRUE(other.ok());
  const std::string url = (*other)->addresses()[0];
  const auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  struct Case {
    Listener listener;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {{.unix_path = folder_ + "/file"}, "not a socket"},
           {{.unix_path = folder_ + "/none/s"}, "cannot open the socket's folder"},
           {{.unix_path = folder_ + "/" + std::string(200, 'a')}, "has at most"},
           {{.host = "example.com"}, "an address or localhost"},
           {{.host = "127.0.0.1", .port = port}, "another program listens there"},
           {{}, "neither"},
           {{.host = "127.0.0.1", .tls_certificate = folder_ + "/none", .tls_key = folder_ + "/none"}, "certificate"},
           {{.host = "127.0.0.1", .tls_certificate = folder_ + "/file", .tls_key = folder_ + "/file"}, "certificate"},
       }) {
    const auto server = Server::start(Router(), {.listeners = {c.listener}});
    ASSERT_FALSE(server.ok()) << c.message;
    EXPECT_NE(server.status().message().find(c.message), std::string::npos) << server.status().message();
  }
}

TEST_F(ServerListenTest, RefusesConnectionsBeyondTheLimit) {
  options_.max_connections = 3;
  start();
  std::vector<TestClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(i % 2 == 0 ? unix_client() : tcp_client());
    EXPECT_EQ(clients.back().ask(get("/hello")).status, 200);
  }
  TestClient fourth = unix_client();
  const TestAnswer refused = fourth.ask(get("/v1/x"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.fields.at("retry-after"), "1");
  EXPECT_TRUE(refused.body.starts_with("{\"v1\":"));
  EXPECT_EQ(fourth.take_all(), "");
  EXPECT_EQ(server_->counts().refused, 1U);
  EXPECT_EQ(server_->counts().connections, 3U);
  std::vector<TestClient> flood;
  for (int i = 0; i < 200; ++i)
    flood.push_back(unix_client());
  EXPECT_EQ(clients.front().ask(get("/hello")).status, 200);
}

TEST_F(ServerListenTest, LetsOpenExchangesEnd) {
  start();
  TestClient waiting = unix_client();
  TestClient idle = unix_client();
  EXPECT_EQ(idle.ask(get("/hello")).status, 200);
  waiting.send(get("/hold"));
  const Pointer x = held_exchanges_.take();
  std::thread stopper([&] { server_->stop(steady_clock::now() + std::chrono::seconds(10)); });
  EXPECT_EQ(idle.take_all(), "");  // closed when the end has begun
  x->respond(text_response(200, "in time"));
  const TestAnswer answer = waiting.read_answer();
  EXPECT_EQ(answer.body, "in time");
  EXPECT_EQ(answer.fields.at("connection"), "close");
  stopper.join();
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/s"));
  EXPECT_EQ(server_->counts().connections, 0U);
}

TEST_F(ServerListenTest, CutsWhatIsOpenAtTheDeadline) {
  start();
  TestClient client = unix_client();
  client.send(get("/stream/hold"));
  const Pointer x = held_exchanges_.take();
  server_->stop(steady_clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(events_.take(), "closed");
  EXPECT_TRUE(x->closed());
  server_.reset();
  x->write("nobody is there");
  x->post([] { ADD_FAILURE(); });
  x->on_closed([] { ADD_FAILURE(); });
  x->every(std::chrono::milliseconds(1), [] { ADD_FAILURE(); });
  x->end();
  EXPECT_FALSE(client.read_answer().whole);
}

// Seeded changes of good requests: whatever comes of them, the server answers the next one, and what it says to a
// broken one is a 4xx or 5xx of its own.
TEST_F(ServerListenTest, LivesThroughMutatedRequests) {
  options_.max_head_bytes = 4096;
  options_.max_body_bytes = 10'000;
  options_.head_timeout = options_.body_timeout = std::chrono::milliseconds(200);
  start();
  const std::vector<std::string> seeds = {
      get("/hello"),
      get("/stream?a=%20b&c", "Origin: http://localhost\r\nX-Request-Id: 1\r\n"),
      post("/echo", "{\"a\": [1, 2, 3]}", "Content-Type: application/json\r\n"),
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n1;x=\"y\"\r\nf\r\n0\r\nA: "
      "b\r\n\r\n",
      "PUT /upload/a%2Fb HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
      "OPTIONS /small HTTP/1.1\r\nHost: x\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n\r\n",
  };
  const std::vector<std::string> inserts = {"\r\n", "\n", "\r",   std::string(1, '\0'), " ",     ":",   "%",
                                            "%00",  "0",  "ffff", "\xFF\xFE",           "\r\n ", ", 5", "chunked"};
  std::mt19937 random(20240611);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  int refused = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string request = seeds[below(seeds.size())];
    for (std::size_t changes = 1 + below(3); changes > 0 && !request.empty(); --changes) {
      const std::size_t at = below(request.size());
      switch (below(5)) {
        case 0:
          request[at] = static_cast<char>(below(256));
          break;
        case 1:
          request.erase(at, 1 + below(8));
          break;
        case 2:
          request.insert(at, inserts[below(inserts.size())]);
          break;
        case 3:
          request.insert(at, request.substr(below(request.size()), below(40)));
          break;
        default:
          request.resize(at);
      }
    }
    TestClient client = i % 8 == 0 ? tcp_client() : unix_client();
    client.send(request);
    client.shut_writing();
    const std::string answer = client.take_all();
    if (answer.empty()) continue;  // not a whole request
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 ")) << request;
    const int status = std::atoi(answer.c_str() + 9);
    EXPECT_TRUE(status == 100 || status == 200 || status == 204 || (status >= 400 && status < 500) || status == 501 ||
                status == 505)
        << request << "\n->\n"
        << answer;
    refused += status >= 400;
  }
  EXPECT_GT(refused, 300);
  EXPECT_EQ(unix_client().ask(get("/hello")).body, "hello");
}

class TlsTest : public HttpServerTest {
 protected:
  void SetUp() override {
    certificate_ = folder_ + "/cert.pem";
    const std::string key = folder_ + "/key.pem";
    const std::string said = output_of(fmt::format(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {} -out {} -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>&1",
        key, certificate_));
    if (!std::filesystem::exists(certificate_)) GTEST_SKIP() << "no openssl command: " << said;
    options_.listeners.push_back({.host = "127.0.0.1", .tls_certificate = certificate_, .tls_key = key});
    start();
    address_ = server_->addresses()[2];
    ASSERT_TRUE(address_.starts_with("https://127.0.0.1:"));
  }

  // What the server says to `request` in a connection of `version` at most; empty when there is none.
  std::string ask(const std::string& request, int version) {
    TestClient client(address_);
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_load_verify_locations(context, certificate_.c_str(), nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, client.fd());
    std::string answer;
    if (SSL_connect(ssl) == 1) {
      SSL_write(ssl, request.data(), static_cast<int>(request.size()));
      char bytes[4096];
      for (int size; (size = SSL_read(ssl, bytes, sizeof bytes)) > 0;)
        answer.append(bytes, static_cast<std::size_t>(size));
      clean_end_ = (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    return answer;
  }

  std::string certificate_;
  std::string address_;
  bool clean_end_ = false;
};

TEST_F(TlsTest, SpeaksTls12AndLater) {
  const std::string close = "Connection: close\r\n";
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_TRUE(ask(get("/hello", close), version).ends_with("\r\n\r\nhello"));
    EXPECT_TRUE(clean_end_);
    EXPECT_TRUE(ask(post("/echo", std::string(1'000'000, 'x'), close), version).ends_with(std::string(1'000'000, 'x')));
    EXPECT_TRUE(ask(get("/stream", close), version).ends_with("piece 2\n\r\n0\r\n\r\n"));
  }
  EXPECT_EQ(ask(get("/hello", close), TLS1_1_VERSION), "");
}

TEST_F(TlsTest, SeesAPeerThatLeaves) {
  TestClient client(address_);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, client.fd());
  ASSERT_EQ(SSL_connect(ssl), 1);
  const std::string request = get("/hold");
  SSL_write(ssl, request.data(), static_cast<int>(request.size()));
  const Pointer x = held_exchanges_.take();
  EXPECT_TRUE(x->request().peer.tls);
  client.close();
  EXPECT_EQ(events_.take(), "closed");
  SSL_free(ssl);
  SSL_CTX_free(context);
}

TEST_F(TlsTest, RefusesPlainText) {
  TestClient client(address_);
  client.send(get("/hello"));
  EXPECT_EQ(client.take_all().find("hello"), std::string::npos);
  TestClient silent(address_);
  server_.reset();  // within a handshake
}

TEST_F(TlsTest, SatisfiesCurl) {
  if (output_of("curl --version 2>/dev/null").empty()) GTEST_SKIP() << "no curl command";
  const std::string curl =
      fmt::format("curl --silent --show-error --noproxy '*' --max-time 10 --cacert {} ", certificate_);
  const std::string url = "https://localhost" + address_.substr(address_.rfind(':'));
  EXPECT_EQ(output_of(curl + url + "/hello 2>&1"), "hello");
  EXPECT_EQ(output_of(fmt::format("{0}--data abc {1}/echo -: -s --noproxy '*' --cacert {2} {1}/stream 2>&1", curl, url,
                                  certificate_)),
            "abcpiece 0\npiece 1\npiece 2\n");
  std::ofstream(folder_ + "/big") << std::string(2'000'000, 'b');
  const std::string unix_socket = fmt::format("curl -sS --max-time 10 --unix-socket {0}/s ", folder_);
  EXPECT_EQ(output_of(unix_socket + "-T " + folder_ + "/big http://localhost/upload/big 2>&1"), "2000000");
  EXPECT_EQ(output_of(unix_socket + "-H 'Transfer-Encoding: chunked' -T " + folder_ +
                      "/big http://localhost/upload/big 2>&1"),
            "2000000");
  EXPECT_EQ(output_of(unix_socket + "-I -o /dev/null -w '%{http_code}' http://localhost/hello"), "200");
  EXPECT_EQ(output_of(unix_socket + "--http1.0 http://localhost/stream http://localhost/hello"),
            "piece 0\npiece 1\npiece 2\nhello");
}

}  // namespace
}  // namespace mlxr::http
