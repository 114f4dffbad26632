#include "daemon/http/request_reader.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace mlxr::http {
namespace {

using Event = RequestReader::Event;

// What a stream of bytes becomes: one word a request, "METHOD target [body]" or the status of the error.
std::vector<std::string> read_all(std::string_view bytes, std::size_t step, std::size_t max_head = 4096,
                                  std::uint64_t max_body = 1000) {
  RequestReader reader(max_head);
  std::vector<std::string> seen;
  std::string body;
  std::string title;
  for (;;) {
    switch (reader.next()) {
      case Event::kNeedMore:
        if (bytes.empty()) {
          if (reader.started()) seen.emplace_back("...");
          return seen;
        }
        reader.feed(bytes.substr(0, step));
        bytes.remove_prefix(std::min(step, bytes.size()));
        break;
      case Event::kHead:
        title = reader.head().method + " " + reader.head().target;
        reader.limit_body(max_body);
        break;
      case Event::kBody:
        body += reader.piece();
        break;
      case Event::kDone:
        seen.push_back(body.empty() ? title : title + " [" + body + "]");
        body.clear();
        reader.start_next();
        break;
      case Event::kError:
        seen.push_back(std::to_string(reader.error().status));
        EXPECT_FALSE(reader.error().message.empty());
        EXPECT_EQ(reader.next(), Event::kError);
        return seen;
    }
  }
}

struct Case {
  std::string bytes;
  std::vector<std::string> seen;
};

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{100000}}) {
      EXPECT_EQ(read_all(c.bytes, step), c.seen) << c.bytes << " in steps of " << step;
    }
  }
}

const std::string kHost = "Host: x\r\n";

TEST(RequestReader, ReadsRequestsOneAfterTheOther) {
  check({
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", {"GET /"}},
      {"GET / HTTP/1.0\r\n\r\n", {"GET /"}},
      {"\r\nGET / HTTP/1.0\r\n\r\n", {"GET /"}},
      {"PROPFIND /a HTTP/1.1\r\nhost:x\r\n\r\n", {"PROPFIND /a"}},
      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       {"POST /a [abc]", "GET /b"}},
      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", {"POST /a"}},
      {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n002;x=y\r\nde\r\n0\r\n\r\n"
       "GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
       {"POST /a [abcde]", "GET /b"}},
      {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nA: b\r\n\r\n", {"POST /a"}},
      {"GET / HTTP/1.1\r\nHost: x\r\n", {"..."}},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab", {"..."}},
      {"", {}},
  });
}

TEST(RequestReader, RefusesWhatTwoReadersCouldReadDifferently) {
  check({
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3, 3\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: +3\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: -3\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 0x3\r\n\r\nabc", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length:\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 99999999999999999999\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: gzip, chunked\r\n\r\n", {"501"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: identity\r\n\r\n", {"501"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked, chunked\r\n\r\n", {"501"}},
      {"POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding : chunked\r\n\r\n", {"400"}},
      {"POST / HTTP/1.1\r\n" + kHost +
           "Transfer-Encoding: \x0b"
           "chunked\r\n\r\n",
       {"400"}},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + "A: b\r\n c\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + "A: b\r\n\tc\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n A: b\r\n" + kHost + "\r\n", {"400"}},
      {"GET / HTTP/1.1\nHost: x\n\n", {"400"}},
      {"GET / HTTP/1.1\r\nHost: x\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", {"400"}},
      {std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 29), {"400"}},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + "no colon\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + ": empty\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + "A\x01: b\r\n\r\n", {"400"}},
      {"GET / HTTP/2.0\r\n\r\n", {"505"}},
      {"GET /\r\n\r\n", {"400"}},
      {"GET  / HTTP/1.1\r\n" + kHost + "\r\n", {"400"}},
      {"G@T / HTTP/1.1\r\n" + kHost + "\r\n", {"400"}},
      {"\r\n\r\n\r\n", {"400"}},
      {"GET / HTTP/1.1\r\n" + kHost + "Expect: miracles\r\n\r\n", {"417"}},
  });
}

TEST(RequestReader, RefusesBrokenChunks) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  check({
      {head + "x\r\nabcde", {"400"}},
      {head + "-1\r\nabcde", {"400"}},
      {head + "\r\nabcde", {"400"}},
      {head + "3\r\nabcd\r\n0\r\n\r\n", {"400"}},
      {head + "3 \r\nabc\r\n0\r\n\r\n", {"400"}},
      {head + "FFFFFFFFFFFFFFFF1\r\n", {"400"}},
      {head + "FFFFFFFFFFFFFFFF\r\n", {"413"}},
      {head + "3e9\r\n", {"413"}},
      {head + "1f4\r\n" + std::string(500, 'a') + "\r\n1f5\r\n", {"413"}},
      {head + "3;" + std::string(20000, 'a'), {"400"}},
      {head + "0\r\nA: " + std::string(20000, 'a'), {"400"}},
  });
}

TEST(RequestReader, BoundsTheHead) {
  EXPECT_EQ(read_all("GET /" + std::string(300, 'a'), 10, 256), (std::vector<std::string>{"414"}));
  EXPECT_EQ(read_all("GET / HTTP/1.1\r\nA: " + std::string(300, 'a'), 10, 256), (std::vector<std::string>{"431"}));
  EXPECT_EQ(read_all("GET /" + std::string(20000, 'a') + " HTTP/1.0\r\n\r\n", 100000, 65536),
            (std::vector<std::string>{"414"}));
  std::string many = "GET / HTTP/1.0\r\n";
  for (int i = 0; i < 300; ++i)
    many += "A: b\r\n";
  EXPECT_EQ(read_all(many + "\r\n", 100000, 65536), (std::vector<std::string>{"431"}));
}

TEST(RequestReader, TellsTheHead) {
  RequestReader reader(4096);
  EXPECT_FALSE(reader.started());
  reader.feed("POST /v1/x?y HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n");
  EXPECT_EQ(reader.next(), Event::kNeedMore);
  EXPECT_TRUE(reader.started());
  EXPECT_EQ(reader.probable_target(), "/v1/x");
  reader.feed("Content-Length: 12\r\nX: a\r\nX: b \r\n\r\nab");
  ASSERT_EQ(reader.next(), Event::kHead);
  const RequestHead& head = reader.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/v1/x?y");
  EXPECT_TRUE(head.http11);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.expect_continue);
  EXPECT_FALSE(head.chunked);
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_EQ(head.fields.entries().size(), 5U);
  EXPECT_EQ(head.fields.entries()[4].second, "b");
  EXPECT_EQ(reader.buffered_bytes(), 2U);

  struct KeepCase {
    std::string text;
    bool keep_alive;
  };
  for (const KeepCase& c :
       {KeepCase{"GET / HTTP/1.0\r\n\r\n", false}, KeepCase{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        KeepCase{"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false},
        KeepCase{"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, Keep-Alive\r\n\r\n", true}}) {
    RequestReader one(4096);
    one.feed(c.text);
    ASSERT_EQ(one.next(), Event::kHead);
    EXPECT_EQ(one.head().keep_alive, c.keep_alive) << c.text;
  }
}

}  // namespace
}  // namespace mlxr::http
