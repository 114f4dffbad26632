// Streams: their order, peers that leave or do not read, and many at once.
#include <sys/resource.h>

#include <fstream>
#include <thread>

#include <fmt/core.h>

#include "daemon/http/http_test_client.h"
#include "daemon/http/server.h"

namespace mlxr::http {
namespace {

using ServerStreamTest = HttpServerTest;
using Pointer = std::shared_ptr<Exchange>;

TEST_F(ServerStreamTest, SendsPiecesAsTheyCome) {
  start();
  TestClient client = unix_client();
  client.send(get("/stream/hold"));
  EXPECT_TRUE(client.take_until("\r\n\r\n").find("Transfer-Encoding: chunked") != std::string::npos);
  std::string chunk;
  ASSERT_TRUE(client.take_chunk(chunk));
  EXPECT_EQ(chunk, "first");
  const Pointer x = held_exchanges_.take();
  for (int i = 0; i < 100; ++i) {
    x->write(std::to_string(i));
    ASSERT_TRUE(client.take_chunk(chunk));
    EXPECT_EQ(chunk, std::to_string(i));
  }
  x->end();
  ASSERT_TRUE(client.take_chunk(chunk));
  EXPECT_EQ(chunk, "");
  EXPECT_EQ(client.ask(get("/hello")).body, "hello");
  EXPECT_TRUE(x->closed());
  x->write("too late");
  x->respond(text_response(200, "too late"));
  EXPECT_TRUE(events_.empty());
}

TEST_F(ServerStreamTest, KeepsTheOrderOfAThreadsPieces) {
  start();
  TestClient client = unix_client();
  client.send(get("/stream/hold"));
  const Pointer x = held_exchanges_.take();
  std::thread writer([&] {
    for (int i = 0; i < 20000; ++i)
      x->write(std::to_string(i) + "\n");
    x->end();
  });
  const TestAnswer answer = client.read_answer();
  writer.join();
  std::string expected = "first";
  for (int i = 0; i < 20000; ++i)
    expected += std::to_string(i) + "\n";
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, expected);
}

TEST_F(ServerStreamTest, SeesAPeerThatLeaves) {
  start();
  struct Case {
    bool tcp;
    std::string request;
    bool reset;
  };
  for (const Case& c : std::vector<Case>{{false, get("/hold"), false},
                                         {false, get("/stream/hold"), false},
                                         {true, get("/hold"), false},
                                         {true, get("/stream/hold"), false},
                                         {true, get("/hold"), true},
                                         {true, get("/stream/hold"), true},
                                         {false, post("/hold", "body") + get("/hello"), false}}) {
    TestClient client = c.tcp ? tcp_client() : unix_client();
    client.send(c.request);
    const Pointer x = held_exchanges_.take();
    EXPECT_FALSE(x->closed());
    c.reset ? client.reset() : client.close();
    EXPECT_EQ(events_.take(), "closed") << c.request;
    EXPECT_TRUE(x->closed());
    x->on_closed([this] { events_.put("again"); });
    EXPECT_EQ(events_.take(), "again");
    EXPECT_TRUE(finished_.take().cut);
    x->write("nobody reads this");
    x->end();
  }
}

TEST_F(ServerStreamTest, AnswersAPeerThatHasOnlyStoppedWriting) {
  start();
  for (const bool tcp : {false, true}) {
    TestClient waiting = tcp ? tcp_client() : unix_client();
    waiting.send(get("/hold"));
    waiting.shut_writing();
    held_exchanges_.take()->respond(text_response(200, "late"));
    TestAnswer answer = waiting.read_answer();
    if (answer.status == 100) answer = waiting.read_answer();
    EXPECT_EQ(answer.body, "late");
    EXPECT_EQ(waiting.take_all(), "");

    TestClient streaming = tcp ? tcp_client() : unix_client();
    streaming.send(get("/stream/hold"));
    streaming.shut_writing();
    EXPECT_TRUE(streaming.take_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
    std::string chunk;
    ASSERT_TRUE(streaming.take_chunk(chunk));
    const Pointer x = held_exchanges_.take();
    // What the server sends to find out whether somebody reads is a zero that the size of the next chunk begins with.
    if (tcp) {
      EXPECT_EQ(streaming.take(1), "0");
    }
    x->write("more");
    ASSERT_TRUE(streaming.take_chunk(chunk));
    EXPECT_EQ(chunk, "more");
    x->end();
    ASSERT_TRUE(streaming.take_chunk(chunk));
    EXPECT_EQ(chunk, "");
  }
  TestClient old = tcp_client();
  old.send("GET /hold HTTP/1.0\r\n\r\n");
  old.shut_writing();
  held_exchanges_.take()->respond(text_response(200, "late"));
  EXPECT_EQ(old.read_answer().body, "late");
  EXPECT_TRUE(events_.empty());
}

TEST_F(ServerStreamTest, BreaksOffWhatIsNotWhole) {
  route(Method::kGet, "/abort", [](const Pointer& x) {
    x->begin(200, {});
    x->write("part");
    x->on_sent([weak = std::weak_ptr(x)] {
      if (const auto strong = weak.lock()) strong->abort();
    });
    x->every(std::chrono::hours(1), [x] {});
  });
  start();
  TestClient client = unix_client();
  TestAnswer answer = client.ask(get("/abort"));
  EXPECT_EQ(answer.body, "part");
  EXPECT_FALSE(answer.whole);
  TestClient dropped = tcp_client();
  answer = dropped.ask(get("/drop/begun"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.whole);
  TestClient old = tcp_client();
  old.send("GET /abort HTTP/1.0\r\n\r\n");
  old.take_all();
  EXPECT_TRUE(old.was_reset());
}

TEST_F(ServerStreamTest, TicksUntilTheEnd) {
  route(Method::kGet, "/ticks", [](const Pointer& x) {
    x->begin(200, {});
    const auto count = std::make_shared<int>(0);
    x->every(std::chrono::milliseconds(3), [x, count] {
      x->write(std::to_string(++*count) + " ");
      if (*count == 5) x->end();
    });
    x->every(std::chrono::milliseconds(1), [x] { x->post([] {}); });
  });
  start();
  TestClient client = unix_client();
  EXPECT_EQ(client.ask(get("/ticks")).body, "1 2 3 4 5 ");
  EXPECT_EQ(client.ask(get("/ticks")).body, "1 2 3 4 5 ");
}

TEST_F(ServerStreamTest, RunsPostedWorkLaterAndInOrder) {
  route(Method::kGet, "/post", [](const Pointer& x) {
    const auto text = std::make_shared<std::string>();
    x->post([text] { *text += "b"; });
    x->post([x, text] {
      x->post([x, text] { x->respond(text_response(200, *text + "d")); });
      *text += "c";
    });
    *text += "a";
  });
  start();
  EXPECT_EQ(unix_client().ask(get("/post")).body, "abcd");
}

TEST_F(ServerStreamTest, CutsOffAPeerThatReadsNothing) {
  options_.max_unsent_bytes = 100'000;
  start();
  TestClient client = unix_client();
  client.send(get("/stream/hold"));
  const Pointer x = held_exchanges_.take();
  const std::string piece(10'000, 'x');
  for (int i = 0; i < 100'000 && !x->closed(); ++i)
    x->write(piece);
  EXPECT_TRUE(x->closed());
  EXPECT_EQ(events_.take(), "closed");
  EXPECT_EQ(x->unsent_bytes(), 0U);
}

TEST_F(ServerStreamTest, CutsOffAPeerThatStopsReading) {
  options_.write_timeout = std::chrono::milliseconds(50);
  start();
  TestClient client = tcp_client();
  client.send(get("/stream/hold"));
  const Pointer x = held_exchanges_.take();
  // More than the buffers of both sockets hold, less than max_unsent_bytes.
  for (int i = 0; i < 7; ++i)
    x->write(std::string(1'000'000, 'x'));
  EXPECT_EQ(events_.take(), "closed");
}

TEST_F(ServerStreamTest, SaysWhenAllIsSent) {
  start();
  TestClient client = unix_client();
  client.send(get("/stream/hold"));
  const Pointer x = held_exchanges_.take();
  x->on_sent([this, &x] {
    EXPECT_EQ(x->unsent_bytes(), 0U);
    events_.put("sent");
  });
  for (int i = 0; i < 4; ++i)
    x->write(std::string(1'000'000, 'x'));
  std::string chunk;
  client.take_until("\r\n\r\n");
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(client.take_chunk(chunk));
  EXPECT_EQ(events_.take(), "sent");
  x->end();
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(ServerStreamTest, HoldsTenThousandIdleStreams) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
  // Both ends are in this process.
  const std::size_t count = std::min<std::size_t>(10'000, (limit.rlim_max - 200) / 2);
  std::vector<Pointer> streams;
  std::mutex mutex;
  route(Method::kGet, "/idle", [&](const Pointer& x) {
    x->begin(200, {{"Content-Type", "text/event-stream"}});
    x->write("data: hello\n\n");
    const std::lock_guard lock(mutex);
    streams.push_back(x);
  });
  start();
  const std::size_t before = resident_bytes();
  std::vector<TestClient> clients;
  clients.reserve(count);
  const std::string request = get("/idle");
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(unix_client());
    ASSERT_TRUE(clients.back().connected()) << i;
    ASSERT_TRUE(clients.back().send(request));
  }
  std::string chunk;
  for (TestClient& client : clients) {
    client.take_until("\r\n\r\n");
    ASSERT_TRUE(client.take_chunk(chunk));
    ASSERT_EQ(chunk, "data: hello\n\n");
  }
  const std::size_t bytes = (resident_bytes() - before) / count;
  std::cout << count << " idle streams, " << bytes << " bytes each with the test's client\n";
  RecordProperty("idle_streams", static_cast<int>(count));
  RecordProperty("bytes_each", static_cast<int>(bytes));
  EXPECT_EQ(server_->counts().exchanges, count);
  // Far from a thread's stack or a read buffer each.
  EXPECT_LT(bytes, 12'000U);
  for (const Pointer& x : streams)
    x->write("data: again\n\n");
  for (TestClient& client : clients) {
    ASSERT_TRUE(client.take_chunk(chunk));
    ASSERT_EQ(chunk, "data: again\n\n");
  }
  for (const Pointer& x : streams)
    x->end();
  for (TestClient& client : clients) {
    ASSERT_TRUE(client.take_chunk(chunk));
    ASSERT_EQ(chunk, "");
  }
  streams.clear();
  clients.clear();
  server_.reset();
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace mlxr::http
