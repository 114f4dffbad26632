#include "daemon/server/anthropic/anthropic_routes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/json.h"
#include "tests/support/answer_events.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

using test::call;
using test::finished;
using test::reasoning;
using test::text;

using http::Method;
using test::RecordingExchange;

class AnthropicRoutes : public testing::Test {
 protected:
  AnthropicRoutes() {
    DialectServices services;
    services.models = &service_;
    services.stamp = test::fixed_stamp();
    register_anthropic_routes(router_, services);
  }

  std::shared_ptr<RecordingExchange> post(const std::string& members, std::vector<AnswerEvent> script = {},
                                          std::vector<std::pair<std::string, std::string>> fields = {}) {
    if (!script.empty()) service_.scripts.push_back(std::move(script));
    return test::send(router_, Method::kPost, "/v1/messages", R"({"model":"m","max_tokens":9,)" + members + "}",
                      std::move(fields));
  }

  test::ScriptedService service_;
  http::Router router_;
};

const std::string kHello = R"("messages":[{"role":"user","content":"hi"}])";

AnswerStarted started() {
  AnswerStarted event;
  event.prompt_tokens = 5;
  return event;
}

PrefillDone prefill() {
  PrefillDone event;
  event.cached_tokens = 2;
  return event;
}

AnswerDone done() {
  AnswerDone event;
  event.prompt_tokens = 5;
  event.cached_tokens = 2;
  event.generated_tokens = 4;
  return event;
}

TEST_F(AnthropicRoutes, StreamIsExact) {
  const auto exchange = post(kHello + R"(,"stream":true,"thinking":{"type":"enabled","budget_tokens":1024})",
                             {started(), prefill(), reasoning("hm"), text("He"), text("llo"),
                              call(0, "call_a", "f", ""), call(0, "", "", "{\"x\":"), call(0, "", "", "1}"),
                              call(1, "call_b", "g", "{}"), finished(FinishReason::kEndOfText, 0, true), done()});
  const std::string expected =
      "event: message_start\n"
      R"(data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m",)"
      R"("content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,)"
      R"("cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":0}}})"
      "\n\n"
      "event: content_block_start\n"
      R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":""}})"
      "\n\n"
      "event: content_block_stop\n"
      R"(data: {"type":"content_block_stop","index":0})"
      "\n\n"
      "event: content_block_start\n"
      R"(data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"He"}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"llo"}})"
      "\n\n"
      "event: content_block_stop\n"
      R"(data: {"type":"content_block_stop","index":1})"
      "\n\n"
      "event: content_block_start\n"
      R"(data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_a","name":"f",)"
      R"("input":{}}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}})"
      "\n\n"
      "event: content_block_stop\n"
      R"(data: {"type":"content_block_stop","index":2})"
      "\n\n"
      "event: content_block_start\n"
      R"(data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"call_b","name":"g",)"
      R"("input":{}}})"
      "\n\n"
      "event: content_block_delta\n"
      R"(data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}})"
      "\n\n"
      "event: content_block_stop\n"
      R"(data: {"type":"content_block_stop","index":3})"
      "\n\n"
      "event: message_delta\n"
      R"(data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{)"
      R"("input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":4}})"
      "\n\n"
      "event: message_stop\n"
      R"(data: {"type":"message_stop"})"
      "\n\n";
  EXPECT_EQ(exchange->body, expected);
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->header("request-id"), "req-1");
  const auto& chat = std::get<ChatInput>(service_.generate_calls.at(0).input);
  EXPECT_EQ(chat.think, true);
  EXPECT_EQ(chat.reasoning_budget, 1024);
}

TEST_F(AnthropicRoutes, WholeMessage) {
  ChoiceFinished end = finished(FinishReason::kStopString);
  end.stop_string = "END";
  const auto exchange = post(kHello + R"(,"stop_sequences":["END"],"odd":1)",
                             {started(), prefill(), reasoning("hm"), text("Hello"), end, done()});
  EXPECT_EQ(exchange->status, 200);
  EXPECT_EQ(exchange->body,
            R"({"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking",)"
            R"("thinking":"hm","signature":""},{"type":"text","text":"Hello"}],"stop_reason":"stop_sequence",)"
            R"("stop_sequence":"END","usage":{"input_tokens":3,"cache_creation_input_tokens":0,)"
            R"("cache_read_input_tokens":2,"output_tokens":4},"warnings":["unknown field 'odd' was ignored"]})");
  EXPECT_EQ(service_.generate_calls.at(0).stop, std::vector<std::string>{"END"});
  EXPECT_EQ(service_.generate_calls.at(0).max_tokens, 9);
  EXPECT_EQ(service_.generate_calls.at(0).options.dialect, "anthropic");
}

TEST_F(AnthropicRoutes, StopReasons) {
  const std::vector<std::pair<ChoiceFinished, std::string>> cases = {
      {finished(), "end_turn"},
      {finished(FinishReason::kMaxTokens), "max_tokens"},
      {finished(FinishReason::kMaxTokens, 0, true), "max_tokens"},
      {finished(FinishReason::kContextFull), "model_context_window_exceeded"},
      {finished(FinishReason::kStopString), "stop_sequence"},
      {finished(FinishReason::kEndOfText, 0, true), "tool_use"}};
  for (const auto& [end, reason] : cases) {
    const auto exchange = post(kHello, {started(), text("a"), end, done()});
    EXPECT_EQ((*parse_json_text(exchange->body))["stop_reason"], reason);
  }
}

TEST_F(AnthropicRoutes, ConversationsBecomeMessages) {
  post(R"("system":[{"type":"text","text":"s1","cache_control":{"type":"ephemeral"}},{"type":"text","text":"s2"}],
          "messages":[{"role":"user","content":"q"},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"x"},
              {"type":"text","text":"let me see"},{"type":"tool_use","id":"t1","name":"f","input":{"b":1,"a":2}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"42"}]},
              {"type":"text","text":"go on"}]}],
          "tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
          "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
          "metadata":{"user_id":"u"})",
       {started(), done()});
  const GenerateCall& made = service_.generate_calls.at(0);
  const auto& chat = std::get<ChatInput>(made.input);
  EXPECT_EQ(json_text(chat.messages),
            R"([{"role":"system","content":"s1\ns2"},{"role":"user","content":"q"},)"
            R"({"role":"assistant","content":"let me see","reasoning_content":"hm","tool_calls":[{"id":"t1",)"
            R"("type":"function","function":{"name":"f","arguments":{"b":1,"a":2}}}]},)"
            R"({"role":"tool","content":"42","tool_call_id":"t1","name":"f"},{"role":"user","content":"go on"}])");
  EXPECT_EQ(json_text(chat.tools),
            R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}])");
  EXPECT_EQ(chat.tool_choice, ToolChoice::kNamed);
  EXPECT_EQ(chat.tool_name, "f");
  EXPECT_FALSE(chat.parallel_tool_calls);
  EXPECT_EQ(made.options.origin.caller_key, "u");
}

TEST_F(AnthropicRoutes, AFinalAssistantMessageIsGoneOnWith) {
  post(R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"The answer is"}])",
       {started(), done()});
  EXPECT_TRUE(std::get<ChatInput>(service_.generate_calls.at(0).input).continue_final_message);
}

TEST_F(AnthropicRoutes, ErrorsHaveTheDialectsShape) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("messages":[])", "field 'messages' has no messages"},
      {R"("system":5,"messages":[])", "field 'system' must be a string or an array of blocks; it is the number 5"},
      {R"("messages":[{"role":"user","content":[{"type":"image","source":{}}]}])",
       "field 'messages[0].content[0]' is a block of type \"image\": models here read text, tool_use, tool_result and "
       "thinking"},
      {kHello + R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])",
       "field 'tools[0].type' is \"web_search_20250305\": this server has no tools of its own, only those of the "
       "caller"},
      {kHello + R"(,"tools":[{"name":"f"}])", "field 'tools[0].input_schema' is missing"},
      {kHello + R"(,"tool_choice":{"type":"any"})", "field 'tool_choice.type' asks for a tool that is not there"},
      {kHello + R"(,"temperature":"hot")",
       "field 'temperature' must be a number from 0 to 100; it is the string \"hot\""},
      {kHello + R"(,"mcp_servers":[{}])", "field 'mcp_servers' is not supported: this server has no tools of its own"}};
  for (const auto& [members, message] : cases) {
    const auto exchange = post(members);
    EXPECT_EQ(exchange->status, 400) << members;
    Json error = {{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"message", message}}}};
    error["request_id"] = "req-1";
    EXPECT_EQ(exchange->body, json_text(error));
  }
  const auto no_limit = test::send(router_, Method::kPost, "/v1/messages", R"({"model":"m",)" + kHello + "}");
  EXPECT_NE(no_limit->body.find("field 'max_tokens' is missing"), std::string::npos);
  EXPECT_TRUE(service_.generate_calls.empty());
}

TEST_F(AnthropicRoutes, FailuresOfTheAnswer) {
  AnswerFailed full;
  full.status = resource_exhausted("x");
  full.kind = AnswerFailed::Kind::kContextExceeded;
  full.prompt_tokens = 13392;
  full.context = 8192;
  const auto refused = post(kHello + R"(,"stream":true)", {full});
  EXPECT_EQ(refused->status, 400);
  EXPECT_NE(refused->body.find("prompt is too long: 13392 tokens > 8192 maximum"), std::string::npos);
  AnswerFailed busy;
  busy.status = resource_exhausted("the queue is full");
  busy.kind = AnswerFailed::Kind::kQueueFull;
  const auto overloaded = post(kHello, {busy});
  EXPECT_EQ(overloaded->status, 503);
  EXPECT_NE(overloaded->body.find("overloaded_error"), std::string::npos);
  const auto later = post(kHello + R"(,"stream":true)", {started(), text("a"), busy});
  EXPECT_EQ(later->pieces.back(),
            "event: error\n"
            R"(data: {"type":"error","error":{"type":"overloaded_error","message":"the queue is full"},)"
            R"("request_id":"req-1"})"
            "\n\n");
}

TEST_F(AnthropicRoutes, AWaitingStreamPings) {
  const auto exchange = post(kHello + R"(,"stream":true)");
  exchange->tick();
  EXPECT_EQ(exchange->body, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
  exchange->peer_leaves();
}

TEST_F(AnthropicRoutes, VersionsOfTheHeader) {
  EXPECT_EQ(post(kHello, {started(), done()}, {{"anthropic-version", "2023-06-01"}})->header("X-MLXR-Warning"), "");
  EXPECT_EQ(post(kHello, {}, {{"Anthropic-Version", "2023-01-01"}})->status, 400);
  EXPECT_NE(post(kHello, {started(), done()}, {{"anthropic-version", "2099-01-01"}})->header("X-MLXR-Warning"), "");
}

TEST_F(AnthropicRoutes, CountsTokens) {
  const auto exchange =
      test::send(router_, Method::kPost, "/v1/messages/count_tokens", R"({"model":"m",)" + kHello + "}");
  EXPECT_EQ(exchange->body, R"({"input_tokens":7})");
  EXPECT_EQ(service_.counted.at(0).options.model, "m");
  service_.status = not_found("there is no model 'm'");
  const auto missing =
      test::send(router_, Method::kPost, "/v1/messages/count_tokens", R"({"model":"m",)" + kHello + "}");
  EXPECT_EQ(missing->status, 404);
  EXPECT_NE(missing->body.find("not_found_error"), std::string::npos);
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/messages")->status, 405);
}

}  // namespace
}  // namespace mlxr::server
