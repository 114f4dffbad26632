#include "cli/daemon_client.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/daemon_chat.h"
#include "daemon/http/server.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A server on a Unix socket that answers what a test tells it to.
class DaemonClientTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mlxr_client_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ::setenv("MLXR_API_KEY", "key of the test", 1);
  }
  void TearDown() override {
    server_.reset();
    ::unsetenv("MLXR_API_KEY");
    fs::remove_all(folder_);
  }

  using Handler = std::function<void(const std::shared_ptr<http::Exchange>&)>;
  void route(http::Method method, const char* pattern, Handler handler) {
    router_.add({.method = method, .pattern = pattern, .handler = [this, handler](auto exchange) {
                   {
                     const std::lock_guard lock(mutex_);
                     last_key_ = std::string(exchange->request().fields.find("Authorization").value_or(""));
                     last_body_ = exchange->request().body;
                   }
                   handler(exchange);
                 }});
  }
  void answer(http::Method method, const char* pattern, int status, const std::string& body) {
    route(method, pattern,
          [status, body](const auto& exchange) { exchange->respond(http::json_response(status, body)); });
  }
  void stream(const char* pattern, std::vector<std::string> pieces) {
    route(http::Method::kPost, pattern, [pieces](const auto& exchange) {
      exchange->begin(200, {});
      for (const std::string& piece : pieces)
        exchange->write(piece);
      exchange->end();
    });
  }
  DaemonClient connect() {
    http::ServerOptions options;
    options.listeners.emplace_back();
    options.listeners.back().unix_path = folder_ + "/s";
    auto server = http::Server::start(std::move(router_), std::move(options));
    EXPECT_TRUE(server.ok()) << server.status().message();
    server_ = std::move(server).value();
    return DaemonClient(DaemonAddress{.unix_path = folder_ + "/s"});
  }

  std::string folder_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
  std::mutex mutex_;
  std::string last_key_, last_body_;
};

TEST_F(DaemonClientTest, SendsJsonAndTheKeyAndReadsJson) {
  answer(http::Method::kPost, "/echo", 200, R"({"a": [1, 2]})");
  answer(http::Method::kDelete, "/nothing", 200, "");
  DaemonClient client = connect();
  const Json body = {{"text", "h\xc3\xa9"}};
  const auto answered = client.call({.method = "POST", .path = "/echo", .body = &body});
  ASSERT_TRUE(answered.ok()) << answered.status().message();
  EXPECT_EQ((*answered)["a"][1], 2);
  EXPECT_EQ(last_key_, "Bearer key of the test");
  EXPECT_EQ(Json::parse(last_body_), body);
  const auto empty = client.call({.method = "DELETE", .path = "/nothing"});
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->empty());
}

TEST_F(DaemonClientTest, ErrorsCarryTheServersMessage) {
  struct Case {
    const char* path;
    int status;
    const char* body;
    StatusCode code;
    const char* message;
  };
  const Case cases[] = {
      {"/ollama", 404, R"({"error": "model 'x' not found"})", StatusCode::kNotFound, "model 'x' not found"},
      {"/openai", 400, R"({"error": {"message": "field 'n' is odd"}})", StatusCode::kInvalidArgument,
       "field 'n' is odd"},
      {"/busy", 503, R"({"error": {"message": "busy."}})", StatusCode::kResourceExhausted, "busy"},
      {"/later", 501, R"({"error": "not yet"})", StatusCode::kUnsupported, "not yet"},
      {"/plain", 500, "oops", StatusCode::kInternal, "the server answered 500"},
  };
  for (const Case& c : cases)
    answer(http::Method::kGet, c.path, c.status, c.body);
  DaemonClient client = connect();
  for (const Case& c : cases) {
    const auto answered = client.call({.path = c.path});
    EXPECT_EQ(answered.status().code(), c.code) << c.path;
    EXPECT_EQ(answered.status().message(), c.message) << c.path;
  }
}

TEST_F(DaemonClientTest, ReadsLinesAndEventsHoweverTheyAreCut) {
  stream("/lines", {"{\"n\"", ": 1}\n{\"n\": 2}\n{\"n\"", ": 3}"});
  stream("/events",
         {": ping\n\ndata: {\"n\": 1}\n\nda", "ta: {\"n\": 2}\r\n\r\n", "data:{\"n\": 3}\n\ndata: [DONE]\n\n"});
  stream("/broken", {"{\"n\": 1}\n", "{\"error\": \"the disk is full\"}\n"});
  stream("/odd", {"{\"n\": 1\n"});
  DaemonClient client = connect();
  std::vector<int> seen;
  const auto note = [&seen](const Json& event) {
    seen.push_back(event["n"].get<int>());
    return Status();
  };
  for (const char* path : {"/lines", "/events"}) {
    seen.clear();
    EXPECT_TRUE(client.stream({.method = "POST", .path = path}, note).ok());
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3})) << path;
  }
  seen.clear();
  EXPECT_EQ(client.stream({.method = "POST", .path = "/broken"}, note).message(), "the disk is full");
  EXPECT_EQ(seen, std::vector<int>{1});
  EXPECT_EQ(client.stream({.method = "POST", .path = "/odd"}, note).code(), StatusCode::kCorrupt);
  const auto refuse = [](const Json&) { return unsupported("enough"); };
  EXPECT_EQ(client.stream({.method = "POST", .path = "/lines"}, refuse).message(), "enough");
}

TEST_F(DaemonClientTest, ACancelledStreamEnds) {
  std::shared_ptr<http::Exchange> held;
  route(http::Method::kPost, "/hold", [&held](const auto& exchange) {
    exchange->begin(200, {});
    exchange->write("{\"n\": 1}\n");
    held = exchange;  // and never ends
  });
  DaemonClient client = connect();
  std::atomic<bool> cancel = false;
  const Status status = client.stream({.method = "POST", .path = "/hold", .cancel = &cancel}, [&cancel](const Json&) {
    cancel = true;
    return Status();
  });
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
}

TEST_F(DaemonClientTest, SendsFiles) {
  answer(http::Method::kPost, "/blob", 201, "");
  DaemonClient client = connect();
  const std::string path = folder_ + "/file";
  std::ofstream(path) << "bytes\n";
  EXPECT_TRUE(client.upload({.method = "POST", .path = "/blob"}, path, {}).ok());
  EXPECT_EQ(last_body_, "bytes\n");
  EXPECT_EQ(client.upload({.method = "POST", .path = "/blob"}, path + "x", {}).code(), StatusCode::kNotFound);
}

TEST_F(DaemonClientTest, NobodyListening) {
  const DaemonAddress address{.unix_path = folder_ + "/none"};
  EXPECT_FALSE(daemon_listens(address));
  DaemonClient client(address);
  EXPECT_EQ(client.call({.path = "/"}).status().code(), StatusCode::kNotFound);
}

TEST_F(DaemonClientTest, AConversationIsSentAndItsEventsBecomeAnAnswer) {
  stream(
      "/v1/chat/completions",
      {"data: {\"choices\": [], \"prompt_progress\": {\"total\": 9, \"processed\": 4}}\n\n",
       "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"reasoning_content\": \"Hm.\"}}]}\n\n",
       "data: {\"choices\": [{\"delta\": {\"content\": \"Par\"}}]}\n\n",
       "data: {\"choices\": [{\"delta\": {\"content\": \"is\"}}], \"warnings\": [\"cut\"]}\n\n",
       "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"length\"}]}\n\n",
       "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 9, \"completion_tokens\": 2, "
       "\"prompt_tokens_details\": {\"cached_tokens\": 5}}, \"timings\": {\"prompt_ms\": 1.5}}\n\ndata: [DONE]\n\n"});
  DaemonClient client = connect();
  DaemonChat chat(client, {.model = "m", .system = "Be kind.", .keep_alive = "5m", .context = 512});
  ASSERT_TRUE(chat.set_parameter("temperature", "0").ok());
  ASSERT_TRUE(chat.set_parameter("num_predict", "2").ok());
  ASSERT_TRUE(chat.set_format("json").ok());
  ASSERT_TRUE(chat.set_think("low").ok());
  EXPECT_FALSE(chat.set_parameter("warmth", "1").ok());
  EXPECT_FALSE(chat.set_think("perhaps").ok());
  EXPECT_FALSE(chat.set_format("xml").ok());
  AnswerCallbacks callbacks;
  std::string shown, thought;
  callbacks.on_text = [&shown](std::string_view text) { shown += text; };
  callbacks.on_reasoning = [&thought](std::string_view text) { thought += text; };
  const auto said = chat.say("Capital?", callbacks);
  ASSERT_TRUE(said.ok()) << said.status().message();
  EXPECT_EQ(said->text, "Paris");
  EXPECT_EQ(shown, "Paris");
  EXPECT_EQ(thought, "Hm.");
  EXPECT_EQ(said->finish_reason, FinishReason::kMaxTokens);
  EXPECT_EQ(said->cached_tokens, 5);
  EXPECT_EQ(said->warnings, std::vector<std::string>{"cut"});
  const Json sent = Json::parse(last_body_);
  EXPECT_EQ(sent["messages"], Json::parse(R"([{"role": "system", "content": "Be kind."},
                                              {"role": "user", "content": "Capital?"}])"));
  EXPECT_EQ(sent["temperature"], 0.0);
  EXPECT_EQ(sent["max_tokens"], 2);
  EXPECT_EQ(sent["think"], "low");
  EXPECT_EQ(sent["num_ctx"], 512);
  EXPECT_EQ(sent["keep_alive"], "5m");
  EXPECT_EQ(sent["response_format"]["type"], "json_object");
  EXPECT_FALSE(sent.contains("top_p"));
  EXPECT_EQ(chat.messages().size(), 2U);
}

TEST_F(DaemonClientTest, CallsOfToolsAreShownWhole) {
  stream("/v1/chat/completions",
         {"data: {\"choices\": [{\"delta\": {\"tool_calls\": [{\"index\": 0, \"function\": {\"name\": \"f\", "
          "\"arguments\": \"\"}}]}}]}\n\n",
          "data: {\"choices\": [{\"delta\": {\"tool_calls\": [{\"index\": 0, \"function\": {\"arguments\": "
          "\"{\\\"a\\\": 1}\"}}]}}]}\n\n"});
  DaemonClient client = connect();
  DaemonChat chat(client, {.model = "m"});
  const auto said = chat.say("Call.", {});
  ASSERT_TRUE(said.ok());
  EXPECT_EQ(said->text, "{\"name\":\"f\",\"arguments\":{\"a\":1}}\n");
}

TEST(DaemonAddress, IsReadFromText) {
  struct Case {
    const char* text;
    const char* address;  // nullptr: refused
  };
  const Case cases[] = {
      {"unix:/run/x.sock", "unix:/run/x.sock"},
      {"/run/x.sock", "unix:/run/x.sock"},
      {"example.org", "http://example.org:11434"},
      {"localhost:8080", "http://localhost:8080"},
      {"https://a.example/", "https://a.example"},
      {"[::1]:80", "http://[::1]:80"},
      {"ftp://a", nullptr},
      {"", nullptr},
  };
  for (const Case& c : cases) {
    const auto address = parse_daemon_address(c.text);
    ASSERT_EQ(address.ok(), c.address != nullptr) << c.text;
    if (address.ok()) {
      EXPECT_EQ(address->text(), c.address);
    }
  }
}

TEST(EscapedPathPart, KeepsLettersAndNoSlash) {
  EXPECT_EQ(escaped_path_part("a-B_1.x~"), "a-B_1.x~");
  EXPECT_EQ(escaped_path_part("hf.co/a b:Q4"), "hf.co%2Fa%20b%3AQ4");
}

}  // namespace
}  // namespace mlxr::cli
