#include "daemon/server/openai/openai_routes.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/json.h"
#include "tests/support/answer_events.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

using test::call;
using test::failed;
using test::finished;
using test::reasoning;
using test::text;

using http::Method;
using test::RecordingExchange;

AnswerStarted started(std::int64_t prompt_tokens = 3, std::vector<std::string> warnings = {}) {
  AnswerStarted event;
  event.model = "m:latest";
  event.prompt_tokens = prompt_tokens;
  event.warnings = std::move(warnings);
  return event;
}

AnswerDone done(std::int64_t generated = 2) {
  AnswerDone event;
  event.prompt_tokens = 3;
  event.cached_tokens = 1;
  event.generated_tokens = generated;
  event.timings.prompt_ms = 10.0;
  event.timings.generation_ms = 20.0;
  event.timings.total_ms = 31.0;
  return event;
}

class OpenAiRoutes : public testing::Test {
 protected:
  OpenAiRoutes() {
    OpenAiServices services;
    services.common.models = &service_;
    services.common.catalog = &catalog_;
    services.common.stamp = test::fixed_stamp();
    register_openai_routes(router_, services);
  }

  std::shared_ptr<RecordingExchange> post(const std::string& path, const std::string& body,
                                          std::vector<AnswerEvent> script = {}) {
    if (!script.empty()) service_.scripts.push_back(std::move(script));
    return test::send(router_, Method::kPost, path, body);
  }
  std::shared_ptr<RecordingExchange> chat(const std::string& members, std::vector<AnswerEvent> script) {
    return post("/v1/chat/completions", R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + members + "}",
                std::move(script));
  }

  test::ScriptedService service_;
  test::ListedModels catalog_;
  http::Router router_;
};

const std::string kChunk =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",)"
    R"("system_fingerprint":"fp_mlxr","choices":)";
const std::string kTimings =
    R"("timings":{"cache_n":1,"prompt_n":2,"prompt_ms":10.0,"prompt_per_token_ms":5.0,"prompt_per_second":200.0,)"
    R"("predicted_n":2,"predicted_ms":20.0,"predicted_per_token_ms":10.0,"predicted_per_second":100.0,"load_ms":0.0,)"
    R"("queued_ms":0.0,"total_ms":31.0})";
const std::string kUsage =
    R"("usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1},)"
    R"("completion_tokens_details":{"reasoning_tokens":0}})";

TEST_F(OpenAiRoutes, ChatStreamIsExact) {
  const auto exchange = chat(R"(,"stream":true,"stream_options":{"include_usage":true})",
                             {LoadProgress{.fraction = 0.5}, started(), reasoning("hm"), text("Hel"), text(""),
                              text("lo"), finished(), done()});
  EXPECT_EQ(exchange->status, 200);
  EXPECT_EQ(exchange->header("Content-Type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(
      exchange->body,
      kChunk +
          R"([{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"reasoning_content":"hm","reasoning":"hm"},"finish_reason":null}],"usage":null})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"content":"lo"},"finish_reason":null}],"usage":null})"
          "\n\n" +
          kChunk + R"([{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null,)" + kTimings + "}\n\n" + kChunk +
          "[]," + kUsage + "," + kTimings + "}\n\n" + "data: [DONE]\n\n");
  EXPECT_TRUE(exchange->ended);
}

TEST_F(OpenAiRoutes, ChatStreamOfToolCalls) {
  const auto exchange = chat(R"(,"stream":true,"tools":[{"type":"function","function":{"name":"f"}}])",
                             {started(), call(0, "call_a", "f", ""), call(0, "", "", "{\"x\""), call(0, "", "", ":1}"),
                              finished(FinishReason::kEndOfText, 0, true), done()});
  EXPECT_EQ(
      exchange->body,
      kChunk +
          R"([{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f",)"
          R"("arguments":""}}]},"finish_reason":null}]})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]},"finish_reason":null}]})"
          "\n\n" +
          kChunk +
          R"([{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":null}]})"
          "\n\n" +
          kChunk + R"([{"index":0,"delta":{},"finish_reason":"tool_calls"}],)" + kTimings + "}\n\n" +
          "data: [DONE]\n\n");
}

TEST_F(OpenAiRoutes, ChatChoicesInterleaveAndTheLastEndWaits) {
  const auto exchange =
      chat(R"(,"stream":true,"n":2)", {started(), text("a", 1), text("b", 0), finished(FinishReason::kMaxTokens, 1),
                                       text("c", 0), finished(FinishReason::kEndOfText, 0), done()});
  std::vector<std::string> order;
  for (const std::string& piece : exchange->pieces) {
    if (piece == "data: [DONE]\n\n") continue;
    const Result<Json> parsed = parse_json_text(std::string_view(piece).substr(6));
    ASSERT_TRUE(parsed.ok());
    const Json& choice = (*parsed)["choices"][0];
    order.push_back(std::to_string(choice["index"].get<int>()) + json_text(choice["delta"]) +
                    json_text(choice["finish_reason"]) + (parsed->contains("timings") ? "T" : ""));
  }
  EXPECT_EQ(order, (std::vector<std::string>{R"(1{"role":"assistant","content":""}null)", R"(1{"content":"a"}null)",
                                             R"(0{"role":"assistant","content":""}null)", R"(0{"content":"b"}null)",
                                             R"(1{}"length")", R"(0{"content":"c"}null)", R"(0{}"stop"T)"}));
}

TEST_F(OpenAiRoutes, ChatWhole) {
  ChoiceFinished end = finished(FinishReason::kStopString);
  end.stop_string = "END";
  TextDelta words = text("Hello", 0, {7, 8});
  words.logprobs.push_back({.text = "He", .token = 7, .logprob = -0.5F, .top = {}});
  AnswerDone last = done();
  last.warnings = {"late"};
  const auto exchange = chat(R"(,"logprobs":true,"odd":1,"return_token_ids":true)",
                             {started(3, {"early"}), reasoning("hm"), words, end, last});
  ASSERT_EQ(exchange->status, 200);
  EXPECT_EQ(
      exchange->body,
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":"Hello","refusal":null,"reasoning_content":"hm","reasoning":"hm"},)"
      R"("logprobs":{"content":[{"token":"He","logprob":-0.5,"bytes":[72,101],"top_logprobs":[]}],"refusal":null},)"
      R"("finish_reason":"stop","stop_reason":"END","token_ids":[7,8]}],)" +
          kUsage + R"(,"system_fingerprint":"fp_mlxr",)" + kTimings +
          R"(,"prompt_token_ids":[],"warnings":["unknown field 'odd' was ignored","early","late"]})");
  EXPECT_EQ(exchange->header("X-MLXR-Warning"), "unknown field 'odd' was ignored; early; late");
}

TEST_F(OpenAiRoutes, ChatWholeOfToolCallsHasNoContent) {
  const auto exchange = chat("", {started(), call(0, "call_a", "f", "{}"), call(1, "call_b", "g", "{\"a\":1}"),
                                  finished(FinishReason::kEndOfText, 0, true), done()});
  const Result<Json> body = parse_json_text(exchange->body);
  ASSERT_TRUE(body.ok());
  const Json& choice = (*body)["choices"][0];
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(json_text(choice["message"]["tool_calls"]),
            R"([{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}},)"
            R"({"id":"call_b","type":"function","function":{"name":"g","arguments":"{\"a\":1}"}}])");
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
}

TEST_F(OpenAiRoutes, ErrorsBeforeTheFirstTokenKeepTheirStatus) {
  struct Case {
    AnswerFailed event;
    int status;
    std::string error;
  };
  AnswerFailed too_long = failed(resource_exhausted("x"), AnswerFailed::Kind::kContextExceeded);
  too_long.prompt_tokens = 13392;
  too_long.context = 8192;
  const std::vector<Case> cases = {
      {failed(not_found("there is no model 'm'"), AnswerFailed::Kind::kModelNotFound), 404,
       R"({"error":{"message":"there is no model 'm'","type":"invalid_request_error","param":"model",)"
       R"("code":"model_not_found"}})"},
      {too_long, 400,
       R"({"error":{"message":"request (13392 tokens) exceeds the available context size (8192 tokens), try )"
       R"(increasing it","type":"invalid_request_error","param":null,"code":"context_length_exceeded",)"
       R"("n_prompt_tokens":13392,"n_ctx":8192}})"},
      {failed(resource_exhausted("the queue is full"), AnswerFailed::Kind::kQueueFull), 503,
       R"({"error":{"message":"the queue is full","type":"overloaded_error","param":null,"code":"overloaded"}})"},
      {failed(internal("disk")), 500,
       R"({"error":{"message":"disk","type":"server_error","param":null,"code":null}})"}};
  for (const Case& each : cases) {
    for (const char* members : {"", R"(,"stream":true)"}) {
      const auto exchange = chat(members, {LoadProgress{}, each.event});
      EXPECT_EQ(exchange->status, each.status);
      EXPECT_EQ(exchange->body, each.error);
      EXPECT_TRUE(exchange->whole);
    }
  }
  EXPECT_EQ(chat("", {failed(resource_exhausted("full"))})->header("Retry-After"), "2");
}

TEST_F(OpenAiRoutes, AnErrorOnTheWayIsAnEvent) {
  const auto exchange = chat(R"(,"stream":true)", {started(), text("a"), failed(internal("the device is gone"))});
  EXPECT_EQ(exchange->status, 200);
  EXPECT_EQ(exchange->pieces.back(),
            R"(data: {"error":{"message":"the device is gone","type":"server_error","param":null,"code":null}})"
            "\n\n");
  EXPECT_TRUE(exchange->ended);
}

TEST_F(OpenAiRoutes, AWaitingStreamPingsAndShowsProgressWhenAsked) {
  const auto exchange = chat(R"(,"stream":true,"return_progress":true)", {});
  ASSERT_EQ(service_.streams.size(), 1U);
  exchange->tick();
  service_.streams[0]->push(LoadProgress{.fraction = 0.25});
  service_.streams[0]->push(PrefillProgress{.done_tokens = 5, .total_tokens = 10, .cached_tokens = 2});
  exchange->run_posted();
  EXPECT_EQ(exchange->body, ": ping\n\n" + kChunk +
                                R"([],"load_progress":{"fraction":0.25}})"
                                "\n\n" +
                                kChunk +
                                R"([],"prompt_progress":{"total":10,"cache":2,"processed":5}})"
                                "\n\n");
  exchange->peer_leaves();
  EXPECT_TRUE(service_.streams[0]->cancelled);
}

TEST_F(OpenAiRoutes, BadBodiesAreRefusedInTheDialectsShape) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "the request has no body"},
      {"[]", "the request must be an object; it is an array"},
      {"{\"model\":5}", "field 'model' must be a string; it is the number 5"},
      {"{}", "field 'model' is missing"},
      {"{\"model\":\"m\"}", "field 'messages' is missing"}};
  for (const auto& [body, message] : cases) {
    const auto exchange = post("/v1/chat/completions", body);
    EXPECT_EQ(exchange->status, 400);
    const Result<Json> parsed = parse_json_text(exchange->body);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ((*parsed)["error"]["message"], message);
    EXPECT_EQ((*parsed)["error"]["type"], "invalid_request_error");
  }
  EXPECT_TRUE(service_.generate_calls.empty());
}

TEST_F(OpenAiRoutes, AKeyThatMayNotUseTheModelIsRefused) {
  OpenAiServices services;
  services.common.models = &service_;
  services.common.catalog = &catalog_;
  services.common.identify = [](const http::Request&, CallOptions& options) -> std::optional<ApiError> {
    if (options.model == "secret") return make_error(ApiErrorKind::kForbidden, "this key may not use it", "model");
    options.origin.caller_key = "key-1";
    return std::nullopt;
  };
  http::Router router;
  register_openai_routes(router, services);
  const auto refused = test::send(router, Method::kPost, "/v1/completions", R"({"model":"secret","prompt":"a"})");
  EXPECT_EQ(refused->status, 403);
  ListedModel model;
  model.name = "secret";
  catalog_.models.push_back(model);
  EXPECT_EQ((*parse_json_text(test::send(router, Method::kGet, "/v1/models")->body))["data"].size(), 0U);
  EXPECT_EQ(test::send(router, Method::kGet, "/v1/models/secret")->status, 404);
  test::send(router, Method::kPost, "/v1/completions", R"({"model":"m","prompt":["a","b"]})")->peer_leaves();
  ASSERT_EQ(service_.generate_calls.size(), 2U);
  EXPECT_EQ(service_.generate_calls[1].options.origin.caller_key, "key-1");
  EXPECT_EQ(service_.generate_calls[1].options.request_id, "req-1-1");
  EXPECT_EQ(service_.generate_calls[1].options.dialect, "openai");
}

TEST_F(OpenAiRoutes, CompletionOfSeveralPrompts) {
  service_.scripts.push_back({started(), text("x"), finished(FinishReason::kMaxTokens), done(1)});
  service_.scripts.push_back({started(), text("y"), finished(), done(1)});
  const auto exchange = post("/v1/completions", R"({"model":"m","prompt":["a","b"]})");
  ASSERT_EQ(exchange->status, 200);
  const Result<Json> body = parse_json_text(exchange->body);
  EXPECT_EQ(json_text((*body)["choices"]), R"([{"index":0,"text":"x","logprobs":null,"finish_reason":"length"},)"
                                           R"({"index":1,"text":"y","logprobs":null,"finish_reason":"stop"}])");
  EXPECT_EQ((*body)["usage"]["prompt_tokens"], 6);
  EXPECT_EQ((*body)["usage"]["total_tokens"], 8);
  EXPECT_EQ((*body)["object"], "text_completion");
}

TEST_F(OpenAiRoutes, CompletionScoresAPrompt) {
  AnswerStarted begin = started(2);
  begin.prompt_text = "ab";
  begin.prompt_ids = {'a', 'b'};
  PrefillDone prefill;
  Logprobs second;
  second.chosen = {.token = 'b', .logprob = -1.5};
  second.rank = 1;
  second.top = {{.token = 'c', .logprob = -0.5}};
  prefill.logprobs = {second};
  TextDelta words = text("\xc3\xa9", 0, {9});
  words.logprobs.push_back({.text = "\xc3\xa9",
                            .token = 9,
                            .logprob = -0.25F,
                            .top = {{.text = "z", .token = 10, .logprob = -2.0F, .top = {}}}});
  const auto exchange =
      post("/v1/completions", R"({"model":"m","prompt":"ab","echo":true,"logprobs":1,"max_tokens":1})",
           {begin, prefill, words, text("!"), finished(FinishReason::kMaxTokens), done(1)});
  const Result<Json> body = parse_json_text(exchange->body);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(json_text((*body)["choices"][0]),
            "{\"index\":0,\"text\":\"ab\xc3\xa9!\",\"logprobs\":{\"text_offset\":[0,1,2],"
            "\"token_logprobs\":[null,-1.5,-0.25],\"tokens\":[\"a\",\"b\",\"\xc3\xa9\"],"
            "\"top_logprobs\":[null,{\"c\":-0.5},{\"z\":-2.0}]},\"finish_reason\":\"length\"}");
}

TEST_F(OpenAiRoutes, CompletionStream) {
  AnswerStarted begin = started();
  begin.prompt_text = "P";
  const auto exchange = post("/v1/completions", R"({"model":"m","prompt":"P","stream":true,"echo":true})",
                             {begin, text("a"), finished(), done()});
  const std::string chunk = R"(data: {"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m",)"
                            R"("system_fingerprint":"fp_mlxr","choices":[{"index":0,"text":)";
  EXPECT_EQ(exchange->body, chunk +
                                R"("P","logprobs":null,"finish_reason":null}]})"
                                "\n\n" +
                                chunk +
                                R"("a","logprobs":null,"finish_reason":null}]})"
                                "\n\n" +
                                chunk + R"("","logprobs":null,"finish_reason":"stop"}],)" + kTimings +
                                "}\n\ndata: [DONE]\n\n");
}

EmbeddingReady embedding(int input, std::vector<float> values) {
  EmbeddingReady event;
  event.input = input;
  event.num_tokens = 4;
  event.values = std::move(values);
  return event;
}

TEST_F(OpenAiRoutes, Embeddings) {
  const auto exchange = post("/v1/embeddings", R"({"model":"m","input":["a",[1,2]],"dimensions":2,"user":"u"})",
                             {started(), embedding(1, {0.5F, 1.0F}), embedding(0, {1.0F, 0.0F}), done()});
  EXPECT_EQ(exchange->body, R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,0.0]},)"
                            R"({"object":"embedding","index":1,"embedding":[0.5,1.0]}],"model":"m",)"
                            R"("usage":{"prompt_tokens":8,"total_tokens":8}})");
  const EmbedCall& call = service_.embed_calls.at(0);
  EXPECT_EQ(std::get<std::string>(call.inputs.at(0)), "a");
  EXPECT_EQ(std::get<std::vector<TokenId>>(call.inputs.at(1)), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(call.dimensions, 2);
  EXPECT_TRUE(call.normalize);
}

TEST_F(OpenAiRoutes, EmbeddingsInBase64AreLittleEndianFloats) {
  const auto exchange = post("/v1/embeddings", R"({"model":"m","input":[1,2],"encoding_format":"base64"})",
                             {embedding(0, {1.0F, -2.0F}), done()});
  const Result<Json> body = parse_json_text(exchange->body);
  // struct.pack("<2f", 1.0, -2.0) in base64.
  EXPECT_EQ((*body)["data"][0]["embedding"], "AACAPwAAAMA=");
  EXPECT_EQ(service_.embed_calls.at(0).inputs.size(), 1U);
  for (const char* bad : {R"({"model":"m"})", R"({"model":"m","input":[]})", R"({"model":"m","input":[{}]})",
                          R"({"model":"m","input":"a","encoding_format":"hex"})", R"({"model":"m","input":7})"}) {
    EXPECT_EQ(post("/v1/embeddings", bad)->status, 400) << bad;
  }
}

TEST_F(OpenAiRoutes, RerankIsSortedAndCut) {
  for (const char* path : {"/v1/rerank", "/rerank", "/v1/reranking", "/reranking"}) {
    const auto exchange =
        post(path, R"({"model":"m","query":"q","documents":["a",{"text":"b"},"c"],"top_n":2,"return_documents":true})",
             {RerankReady{.document = 0, .score = 0.25}, RerankReady{.document = 1, .score = 0.75},
              RerankReady{.document = 2, .score = 0.5}, done()});
    const Result<Json> body = parse_json_text(exchange->body);
    ASSERT_TRUE(body.ok());
    EXPECT_EQ(json_text((*body)["results"]), R"([{"index":1,"relevance_score":0.75,"document":{"text":"b"}},)"
                                             R"({"index":2,"relevance_score":0.5,"document":{"text":"c"}}])");
    EXPECT_EQ((*body)["usage"]["total_tokens"], 3);
  }
}

TEST_F(OpenAiRoutes, Models) {
  ListedModel model;
  model.name = "hf.co/user/repo:Q4_K_M";
  model.created = 1'700'000'000;
  model.context_length = 4096;
  model.num_parameters = 1000;
  catalog_.models.push_back(model);
  const std::string entry =
      R"({"id":"hf.co/user/repo:Q4_K_M","object":"model","created":1700000000,"owned_by":"library",)"
      R"("root":"hf.co/user/repo:Q4_K_M","parent":null,"permission":[],"type":"model",)"
      R"("display_name":"hf.co/user/repo:Q4_K_M","created_at":"2023-11-14T22:13:20Z","max_model_len":4096,)"
      R"("context_length":4096,"meta":{"n_ctx_train":4096,"n_params":1000}})";
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/models/hf.co/user/repo:Q4_K_M")->body, entry);
  const auto list = test::send(router_, Method::kGet, "/v1/models");
  EXPECT_NE(list->body.find("\"data\":[" + entry + "]"), std::string::npos) << list->body;
  const auto missing = test::send(router_, Method::kGet, "/v1/models/none");
  EXPECT_EQ(missing->status, 404);
  EXPECT_NE(missing->body.find("model_not_found"), std::string::npos);
}

TEST_F(OpenAiRoutes, CountsTokensOfPrompts) {
  const std::string count = R"({"object":"response.input_tokens","input_tokens":7})";
  EXPECT_EQ(
      post("/v1/chat/completions/input_tokens", R"({"model":"m","messages":[{"role":"user","content":"a"}]})")->body,
      count);
  EXPECT_EQ(post("/v1/responses/input_tokens", R"({"model":"m","input":"a"})")->body, count);
  EXPECT_EQ(std::get<ChatInput>(service_.counted.at(1).input).messages.size(), 1U);
  service_.status = not_found("there is no model 'm'");
  EXPECT_EQ(post("/v1/responses/input_tokens", R"({"model":"m","input":"a"})")->status, 404);
}

TEST_F(OpenAiRoutes, WrongPathsHaveTheDialectsShape) {
  const auto exchange = test::send(router_, Method::kGet, "/v1/nothing");
  EXPECT_EQ(exchange->status, 404);
  EXPECT_NE(exchange->body.find(R"("type":"not_found_error")"), std::string::npos);
}

}  // namespace
}  // namespace mlxr::server
