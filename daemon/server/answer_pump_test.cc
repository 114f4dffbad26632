#include "daemon/server/answer_pump.h"

#include <string>

#include <gtest/gtest.h>

#include "daemon/server/answer_json.h"
#include "daemon/server/sse.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

using test::RecordingExchange;
using test::ScriptedStream;

// Writes texts as they come; "|" when idle.
class TextWriter : public AnswerWriter {
 public:
  void take(AnswerEvent event, std::size_t source, http::Exchange& exchange) override {
    if (const auto* text = std::get_if<TextDelta>(&event)) {
      sse_.data(exchange, std::to_string(source) + text->text);
    } else if (std::holds_alternative<AnswerDone>(event)) {
      exchange.end();
      over_ = true;
    }
  }
  bool over() const override { return over_; }
  void idle(http::Exchange& exchange) override {
    if (!sse_.take_activity()) sse_.comment(exchange, "ping");
  }

 private:
  SseStream sse_{{{"X-Extra", "1"}}};
  bool over_ = false;
};

TEST(AnswerPump, WritesEventsInOrderAndEnds) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto stream = std::make_shared<ScriptedStream>(std::vector<AnswerEvent>{TextDelta{.text = "a"}});
  pump_answer(exchange, stream, std::make_unique<TextWriter>());
  EXPECT_FALSE(exchange->began) << "nothing runs within the call";
  exchange->run_posted();
  EXPECT_EQ(exchange->body, "data: 0a\n\n");
  stream->push(TextDelta{.text = "b"});
  stream->push(AnswerDone{});
  exchange->run_posted();
  EXPECT_EQ(exchange->body, "data: 0a\n\ndata: 0b\n\n");
  EXPECT_TRUE(exchange->ended);
  EXPECT_FALSE(stream->cancelled);
  EXPECT_EQ(exchange->header("Content-Type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(exchange->header("X-Extra"), "1");
  EXPECT_EQ(stream.use_count(), 1) << "the pump lets go";
}

TEST(AnswerPump, CancelsWhenThePeerLeaves) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto stream = std::make_shared<ScriptedStream>();
  pump_answer(exchange, stream, std::make_unique<TextWriter>());
  exchange->run_posted();
  exchange->peer_leaves();
  EXPECT_TRUE(stream->cancelled);
  stream->push(TextDelta{.text = "late"});
  stream->push(AnswerDone{});
  exchange->run_posted();
  EXPECT_EQ(exchange->body, "");
  EXPECT_EQ(stream.use_count(), 1);
}

TEST(AnswerPump, WaitsForASlowReader) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto stream = std::make_shared<ScriptedStream>();
  pump_answer(exchange, stream, std::make_unique<TextWriter>(), {.high_water_bytes = 100});
  exchange->unsent = 101;
  stream->push(TextDelta{.text = "a"});
  exchange->run_posted();
  EXPECT_EQ(exchange->body, "");
  EXPECT_EQ(stream->num_waiting(), 1U);
  exchange->drained();
  EXPECT_EQ(exchange->body, "data: 0a\n\n");
  exchange->peer_leaves();
}

TEST(AnswerPump, PingsWhenNothingWasWritten) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto stream = std::make_shared<ScriptedStream>();
  pump_answer(exchange, stream, std::make_unique<TextWriter>(), {.idle_period = std::chrono::seconds(1)});
  exchange->run_posted();
  exchange->tick();
  EXPECT_EQ(exchange->body, ": ping\n\n");
  stream->push(TextDelta{.text = "a"});
  exchange->run_posted();
  exchange->tick();
  exchange->tick();
  EXPECT_EQ(exchange->body, ": ping\n\ndata: 0a\n\n: ping\n\n");
  exchange->peer_leaves();
}

TEST(AnswerPump, CancelsOtherStreamsWhenTheWriterIsOver) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto first = std::make_shared<ScriptedStream>(std::vector<AnswerEvent>{AnswerDone{}});
  auto second = std::make_shared<ScriptedStream>();
  pump_answers(exchange, {first, second}, std::make_unique<TextWriter>());
  exchange->run_posted();
  EXPECT_TRUE(exchange->ended);
  EXPECT_FALSE(first->cancelled);
  EXPECT_TRUE(second->cancelled);
}

TEST(WholeAnswer, FoldsEventsOfAllStreams) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto first = std::make_shared<ScriptedStream>(std::vector<AnswerEvent>{
      AnswerStarted{.model = "m", .prompt_tokens = 3}, ReasoningDelta{.text = "hm", .tokens = {1}},
      TextDelta{.text = "a", .tokens = {2}}, TextDelta{.choice = 1, .text = "z"}, TextDelta{.text = "b", .tokens = {3}},
      ToolCallDelta{.index = 1, .id = "call_1", .name = "f", .arguments = ""},
      ToolCallDelta{.index = 1, .arguments = "{}"}, ChoiceFinished{.choice = 0, .reason = FinishReason::kMaxTokens},
      AnswerDone{.generated_tokens = 4}});
  auto second = std::make_shared<ScriptedStream>(std::vector<AnswerEvent>{
      EmbeddingReady{.input = 1, .values = {2.0F}}, EmbeddingReady{.input = 0, .values = {1.0F}}, AnswerDone{}});
  std::vector<CollectedAnswer> seen;
  pump_answers(exchange, {second, first},
               std::make_unique<WholeAnswerWriter>(
                   2,
                   [&seen](std::vector<CollectedAnswer>& answers) {
                     seen = std::move(answers);
                     return http::Response{.status = 200, .fields = {}, .body = "{}"};
                   },
                   [](const AnswerFailed&) { return http::Response{.status = 500, .fields = {}, .body = {}}; }));
  exchange->run_posted();
  ASSERT_EQ(exchange->status, 200);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].embeddings[0].values[0], 1.0F);
  EXPECT_EQ(seen[0].embeddings[1].values[0], 2.0F);
  ASSERT_EQ(seen[1].choices.size(), 2U);
  EXPECT_EQ(seen[1].choices[0].text, "ab");
  EXPECT_EQ(seen[1].choices[0].reasoning, "hm");
  EXPECT_EQ(seen[1].choices[0].tokens, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(seen[1].choices[0].finish.reason, FinishReason::kMaxTokens);
  ASSERT_EQ(seen[1].choices[0].tool_calls.size(), 2U);
  EXPECT_EQ(seen[1].choices[0].tool_calls[1].arguments, "{}");
  EXPECT_EQ(seen[1].choices[1].text, "z");
  EXPECT_EQ(seen[1].done.generated_tokens, 4);
}

TEST(WholeAnswer, AFailureAnswersAtOnce) {
  auto exchange = std::make_shared<RecordingExchange>();
  auto waiting = std::make_shared<ScriptedStream>();
  auto failing = std::make_shared<ScriptedStream>(std::vector<AnswerEvent>{
      AnswerFailed{.status = internal("the disk is gone"), .kind = AnswerFailed::Kind::kOther}});
  pump_answers(exchange, {waiting, failing},
               std::make_unique<WholeAnswerWriter>(
                   2, [](std::vector<CollectedAnswer>&) { return http::Response{}; },
                   [](const AnswerFailed& failed) {
                     return http::Response{
                         .status = to_api_error(failed).status, .fields = {}, .body = failed.status.message()};
                   }));
  exchange->run_posted();
  EXPECT_EQ(exchange->status, 500);
  EXPECT_EQ(exchange->body, "the disk is gone");
  EXPECT_TRUE(waiting->cancelled);
}

TEST(ServerErrors, EachStatusHasItsHttpStatus) {
  EXPECT_EQ(to_api_error(invalid_argument("x")).status, 400);
  EXPECT_EQ(to_api_error(unsupported("x")).status, 400);
  EXPECT_EQ(to_api_error(not_found("x")).status, 404);
  EXPECT_EQ(to_api_error(resource_exhausted("x")).status, 503);
  EXPECT_EQ(to_api_error(cancelled("x")).status, 499);
  EXPECT_EQ(to_api_error(corrupt("x")).status, 500);
  EXPECT_EQ(to_api_error(internal("x")).status, 500);
  EXPECT_EQ(http_error(431, "x").status, 431);
  EXPECT_EQ(http_error(431, "x").kind, ApiErrorKind::kInvalidRequest);
  EXPECT_EQ(http_error(401, "x").kind, ApiErrorKind::kNoKey);
  EXPECT_GT(http_error(503, "x").retry_after.count(), 0);
  const ApiError full = to_api_error(AnswerFailed{.status = resource_exhausted("too long"),
                                                  .kind = AnswerFailed::Kind::kContextExceeded,
                                                  .prompt_tokens = 13392,
                                                  .context = 8192});
  EXPECT_EQ(full.status, 400);
  // The sentence whose numbers clients of llama-server read.
  EXPECT_EQ(full.message, "request (13392 tokens) exceeds the available context size (8192 tokens), try increasing it");
}

TEST(AnswerJson, Base64OfTheStandardsExamples) {
  // RFC 4648, section 10.
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe"), "//4=");
}

TEST(AnswerJson, WarningsFitIntoAHeader) {
  EXPECT_EQ(warning_header({"a", "b\r\nX: é"}), "a; b??X: ??");
  EXPECT_LT(warning_header({std::string(5000, 'x')}).size(), 2100U);
  http::Fields fields;
  add_warnings(fields, {});
  EXPECT_TRUE(fields.entries().empty());
}

TEST(AnswerJson, LogprobsAreFiniteAndBytesAreExact) {
  const AnswerLogprob entry = {.text = "\xc3",
                               .token = 3,
                               .logprob = -std::numeric_limits<float>::infinity(),
                               .top = {AnswerLogprob{.text = "a", .token = 4, .logprob = -0.5F, .top = {}}}};
  EXPECT_EQ(json_text(logprob_json(entry)),
            "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-9999.0,\"bytes\":[195],"
            "\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97]}]}");
}

}  // namespace
}  // namespace mlxr::server
