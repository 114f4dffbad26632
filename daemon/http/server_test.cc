#include "daemon/http/server.h"

#include <sys/resource.h>

#include <csignal>

#include <fmt/core.h>

#include "daemon/http/http_test_client.h"

namespace mlxr::http {
namespace {

using ServerTest = HttpServerTest;

TEST_F(ServerTest, AnswersOneRequestAfterTheOther) {
  start();
  for (const bool tcp : {false, true}) {
    TestClient client = tcp ? tcp_client() : unix_client();
    for (int i = 0; i < 3; ++i) {
      const TestAnswer answer = client.ask(get("/hello"));
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.body, "hello");
      EXPECT_FALSE(answer.fields.contains("connection"));
      EXPECT_TRUE(answer.fields.contains("date"));
      EXPECT_TRUE(answer.fields.at("x-request-id").starts_with("req_"));
    }
    EXPECT_EQ(client.ask(post("/echo", "abc")).body, "abc");
    EXPECT_EQ(client.ask(get("/hello", "Connection: close\r\n")).fields.at("connection"), "close");
    EXPECT_EQ(client.take_all(), "");
    EXPECT_TRUE(client.ended() && !client.was_reset());
  }
  const ServerCounts counts = server_->counts();
  EXPECT_EQ(counts.requests, 10U);
  EXPECT_EQ(counts.accepted, 2U);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  TestClient client = unix_client();
  client.send(get("/stream") + post("/echo", "1") + get("/hello") + post("/echo", "2") + get("/nothing") +
              get("/blocking"));
  EXPECT_EQ(client.read_answer().body, "piece 0\npiece 1\npiece 2\n");
  EXPECT_EQ(client.read_answer().body, "1");
  EXPECT_EQ(client.read_answer().body, "hello");
  EXPECT_EQ(client.read_answer().body, "2");
  EXPECT_EQ(client.read_answer().status, 204);
  EXPECT_EQ(client.read_answer().body, "waited");
}

TEST_F(ServerTest, AnswersTablesOfRawRequests) {
  options_.max_head_bytes = 2048;
  options_.max_body_bytes = 100;
  start();
  struct Case {
    std::string request;
    std::string status_line;
    std::string contains = {};
    bool tcp = false;
  };
  const std::string host = "Host: localhost\r\n";
  for (const Case& c : std::vector<Case>{
           {get("/hello"), "HTTP/1.1 200 OK", "\r\n\r\nhello"},
           {get("http://localhost/hello"), "HTTP/1.1 200 OK"},
           {get("/hell%6f?x=%20"), "HTTP/1.1 200 OK"},
           {"GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "Connection: close"},
           {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK", "Connection: keep-alive"},
           {"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK",
            "Connection: close\r\n\r\npiece 0\npiece 1\npiece 2\n"},
           {"HEAD /hello HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 200 OK", "Content-Length: 5\r\n\r\n"},
           {"HEAD /stream HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n\r\n"},
           {"OPTIONS /hello HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 204 No Content", "Allow: GET, HEAD, OPTIONS"},
           {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 204 No Content"},
           {"OPTIONS /none HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 404 Not Found"},
           {get("/fields"), "HTTP/1.1 201 Created", "X-A: b  X-Injected: c\r\nX-Request-Id"},
           {get("/drop"), "HTTP/1.1 500 Internal Server Error", "no answer"},
           {get("/throw"), "HTTP/1.1 500 Internal Server Error", "no answer"},
           {get("/none"), "HTTP/1.1 404 Not Found", R"({"error":"there is no GET /none"})"},
           {get("/v1/none"), "HTTP/1.1 404 Not Found", R"({"v1":"there is no GET /v1/none"})"},
           {post("/hello", ""), "HTTP/1.1 405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS"},
           {"PROPFIND /hello HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 501 Not Implemented"},
           {"CONNECT localhost:1 HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 501 Not Implemented"},
           {get("/%00"), "HTTP/1.1 400 Bad Request", "broken escape"},
           {get("/v1/%zz"), "HTTP/1.1 400 Bad Request", "{\"error\":"},
           {get("/a/../hello"), "HTTP/1.1 400 Bad Request"},
           {post("/small", std::string(11, 'a')), "HTTP/1.1 413 Content Too Large", "small: the body of 11 bytes"},
           {post("/echo", std::string(101, 'a')), "HTTP/1.1 413 Content Too Large"},
           {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK", "abcde"},
           {"POST /small HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nb\r\nabcde", "HTTP/1.1 413",
            "small: the body is too large"},
           {"POST /v1/a HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 Not Implemented",
            "{\"v1\":"},
           {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 400 Bad Request"},
           {"POST /echo HTTP/1.1\r\n" + host + "Expect: x\r\n\r\n", "HTTP/1.1 417 Expectation Failed"},
           {"GET /" + std::string(3000, 'a'), "HTTP/1.1 414 URI Too Long"},
           {get("/v1/x", "A: " + std::string(3000, 'a')), "HTTP/1.1 431 Request Header Fields Too Large", "{\"v1\":"},
           {"GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request", "Host"},
           {"GET /hello HTTP/1.1\n" + host + "\n", "HTTP/1.1 400 Bad Request", "CRLF"},
           {"GET /hello HTTP/3.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
           {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), "HTTP/1.1 400 Bad Request"},
           {"GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 200 OK"},
           {"GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 Forbidden", "name", true},
           {"GET http://evil.example/hello HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 403 Forbidden", "name", true},
           {"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", "HTTP/1.1 200 OK", "", true},
           {"GET /hello HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK", "", true},
       }) {
    TestClient client = c.tcp ? tcp_client() : unix_client();
    client.send(c.request);
    client.shut_writing();
    const std::string answer = client.take_all();
    EXPECT_TRUE(answer.starts_with(c.status_line)) << c.request << "\n->\n" << answer;
    EXPECT_NE(answer.find(c.contains), std::string::npos) << c.request << "\n->\n" << answer;
    EXPECT_EQ(answer.find("\r\nX-Injected"), std::string::npos);
    if (c.request.starts_with("HEAD")) {
      EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
    }
  }
}

TEST_F(ServerTest, KeepsTheConnectionAfterRefusalsWhereItCan) {
  start();
  TestClient client = unix_client();
  EXPECT_EQ(client.ask(get("/none")).status, 404);
  EXPECT_EQ(client.ask(post("/none", "a body that is here already")).status, 404);
  EXPECT_EQ(client.ask(post("/small", std::string(100, 'a'))).status, 413);
  EXPECT_EQ(client.ask(get("/hello")).body, "hello");
  // Bytes that have not come are not waited for.
  client.send("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  EXPECT_EQ(client.read_answer().fields.at("connection"), "close");
}

TEST_F(ServerTest, AsksForABodyThatIsExpected) {
  start();
  TestClient client = unix_client();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  EXPECT_EQ(client.ask(head).status, 100);
  EXPECT_EQ(client.ask("abc").body, "abc");
  EXPECT_EQ(client.ask(head + "def").body, "def");
  EXPECT_EQ(client.ask("POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n").status,
            413);
}

TEST_F(ServerTest, AuthorizesBeforeTheBody) {
  options_.authorize = [](Request& request, const Route& route) -> std::optional<Response> {
    if (route.options.open) return std::nullopt;
    request.caller = std::string("me");
    if (request.fields.find("Authorization") == "Bearer key") return std::nullopt;
    return text_response(401, "no key for " + route.pattern);
  };
  route(Method::kPost, "/who", [](const std::shared_ptr<Exchange>& x) {
    x->respond(text_response(200, std::any_cast<std::string>(x->request().caller)));
  });
  route(Method::kGet, "/open", [](const std::shared_ptr<Exchange>& x) { x->respond({.status = 204}); }, {.open = true});
  start();
  TestClient client = unix_client();
  EXPECT_EQ(client.ask(get("/open")).status, 204);
  EXPECT_EQ(client.ask(post("/who", "a", "Authorization: Bearer key\r\n")).body, "me");
  EXPECT_EQ(client.ask(get("/none")).status, 404);
  const TestAnswer refused = client.ask("POST /who HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "no key for /who");
}

TEST_F(ServerTest, TellsRequestsByTheirIds) {
  route(Method::kGet, "/id",
        [](const std::shared_ptr<Exchange>& x) { x->respond(text_response(200, x->request().id)); });
  start();
  TestClient client = unix_client();
  const TestAnswer own = client.ask(get("/id", "X-Request-Id: mine-1.2\r\n"));
  EXPECT_EQ(own.body, "mine-1.2");
  EXPECT_EQ(own.fields.at("x-request-id"), "mine-1.2");
  const TestAnswer first = client.ask(get("/id", "X-Request-Id: \"><script>\r\n"));
  const TestAnswer second = client.ask(get("/id", "X-Request-Id: " + std::string(200, 'a') + "\r\n"));
  EXPECT_TRUE(first.body.starts_with("req_"));
  EXPECT_EQ(first.body, first.fields.at("x-request-id"));
  EXPECT_NE(first.body, second.body);
}

TEST_F(ServerTest, SpeaksToTheWebPagesItKnowsOnly) {
  options_.allowed_origins = {"https://a.example", "http://localhost:*"};
  start();
  TestClient client = tcp_client();
  const TestAnswer good = client.ask(get("/hello", "Origin: https://a.example\r\n"));
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.fields.at("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(good.fields.at("vary"), "Origin");
  EXPECT_FALSE(client.ask(get("/hello")).fields.contains("access-control-allow-origin"));
  EXPECT_EQ(client.ask(get("/none", "Origin: http://localhost:3000\r\n")).fields.at("access-control-allow-origin"),
            "http://localhost:3000");
  const TestAnswer bad = client.ask(get("/hello", "Origin: https://b.example\r\n"));
  EXPECT_EQ(bad.status, 403);
  EXPECT_FALSE(bad.fields.contains("access-control-allow-origin"));
  EXPECT_EQ(client.ask("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:9\r\nOrigin: http://127.0.0.1:9\r\n\r\n").status, 200);

  const auto preflight = [&](const std::string& path, const std::string& origin) {
    return client.ask("OPTIONS " + path + " HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin +
                      "\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, "
                      "content-type\r\nAccess-Control-Request-Private-Network: true\r\n\r\n");
  };
  const TestAnswer allowed = preflight("/echo", "https://a.example");
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(allowed.fields.at("access-control-allow-methods"), "POST, OPTIONS");
  EXPECT_EQ(allowed.fields.at("access-control-allow-headers"), "authorization, content-type");
  EXPECT_EQ(allowed.fields.at("access-control-allow-private-network"), "true");
  EXPECT_EQ(preflight("/echo", "https://b.example").status, 403);
  EXPECT_EQ(preflight("/none", "https://a.example").status, 404);
}

TEST_F(ServerTest, StoresBodiesInFiles) {
  start();
  TestClient client = unix_client();
  std::string body(3'000'000, 'x');
  for (std::size_t i = 0; i < body.size(); i += 1000)
    body[i] = static_cast<char>('a' + i / 1000 % 26);
  const std::string head = "PUT /upload/a HTTP/1.1\r\nHost: x\r\n";
  client.send(fmt::format("{}Content-Length: {}\r\n\r\n", head, body.size()));
  EXPECT_EQ(client.ask(body).body, "3000000");
  const std::string first = events_.take();
  client.send(head + "Transfer-Encoding: chunked\r\n\r\n");
  for (std::size_t i = 0; i < body.size(); i += 500'000) {
    client.send(fmt::format("{:x}\r\n{}\r\n", 500'000, body.substr(i, 500'000)));
  }
  EXPECT_EQ(client.ask("0\r\n\r\n").body, "3000000");
  EXPECT_NE(events_.take(), first);
  EXPECT_EQ(client.ask(head + "Content-Length: 0\r\n\r\n").body, "0");
  events_.take();
  EXPECT_EQ(client.ask(head + "Content-Length: 9000000\r\n\r\n").status, 413);
  // Exchanges are over, so that their files are gone; so is that of a peer that leaves within its body.
  TestClient leaver = unix_client();
  leaver.send(head + "Content-Length: 1000\r\n\r\nabc");
  leaver.close();
  server_->stop(std::chrono::steady_clock::now() + std::chrono::seconds(10));
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    ADD_FAILURE() << entry.path();
}

TEST_F(ServerTest, SaysWhenTheDiskIsFull) {
  start();
  // A limit on the size of files stands for a full disk: the same answer of the system to a write.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{300'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  TestClient client = unix_client();
  client.send("PUT /upload/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  client.send(std::string(1'000'000, 'a'));
  const TestAnswer answer = client.read_answer();
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(answer.status, 507);
  EXPECT_EQ(answer.fields.at("connection"), "close");
}

TEST_F(ServerTest, SaysWhenABodyCannotBeStored) {
  options_.upload_folder = folder_ + "/none";
  start();
  EXPECT_EQ(unix_client().ask("PUT /upload/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").status, 500);
}

TEST_F(ServerTest, KeepsAMovedFile) {
  const std::string kept = folder_ + "/kept";
  route(Method::kPost, "/keep",
        [&](const std::shared_ptr<Exchange>& x) {
          std::filesystem::rename(x->request().body_file, kept);
          x->respond({.status = 204});
        },
        {.body_to_file = true});
  start();
  EXPECT_EQ(unix_client().ask(post("/keep", "abc")).status, 204);
  server_.reset();
  EXPECT_EQ(std::filesystem::file_size(kept), 3U);
}

TEST_F(ServerTest, LosesPatience) {
  options_.head_timeout = std::chrono::milliseconds(60);
  options_.body_timeout = std::chrono::milliseconds(60);
  options_.idle_timeout = std::chrono::milliseconds(80);
  start();
  TestClient head = unix_client();
  TestClient body = unix_client();
  TestClient idle = unix_client();
  head.send("GET /v1/hello HTTP/1.1\r\nHost: ");
  body.send("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
  const TestAnswer late_head = head.read_answer();
  EXPECT_EQ(late_head.status, 408);
  EXPECT_TRUE(late_head.body.starts_with("{\"v1\":")) << late_head.body;
  const TestAnswer late_body = body.read_answer();
  EXPECT_EQ(late_body.status, 408);
  EXPECT_TRUE(late_body.body.starts_with("small:")) << late_body.body;
  EXPECT_EQ(idle.take_all(), "");
  EXPECT_TRUE(idle.ended());
}

TEST_F(ServerTest, TellsHowAnExchangeEnded) {
  start();
  TestClient client = unix_client();
  client.ask(get("/hello"));
  const Finished one = finished_.take();
  EXPECT_EQ(one.path, "/hello");
  EXPECT_EQ(one.status, 200);
  EXPECT_FALSE(one.cut);
  client.ask(get("/none"));
  EXPECT_EQ(finished_.take().status, 404);
  client.ask("nonsense\r\n\r\n");
  EXPECT_EQ(finished_.take().status, 400);
}

}  // namespace
}  // namespace mlxr::http
