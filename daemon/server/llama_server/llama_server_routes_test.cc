#include "daemon/server/llama_server/llama_server_routes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/json.h"
#include "tests/support/answer_events.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

using http::Method;
using test::finished;
using test::RecordingExchange;
using test::text;

class LlamaServerRoutes : public testing::Test {
 protected:
  LlamaServerRoutes() {
    LlamaServerServices services;
    services.common.models = &service_;
    services.common.catalog = &catalog_;
    services.common.stamp = test::fixed_stamp();
    services.version = "1";
    services.max_sequences = 2;
    services.may_see = [](const http::Request& /*request*/, const std::string& caller) { return caller != "other"; };
    register_llama_server_routes(router_, services);
    catalog_.models = {{.name = "only", .context_length = 128}};
  }

  std::shared_ptr<RecordingExchange> post(const std::string& path, const std::string& body,
                                          std::vector<AnswerEvent> script = {}) {
    if (!script.empty()) service_.scripts.push_back(std::move(script));
    return test::send(router_, Method::kPost, path, body);
  }
  std::shared_ptr<RecordingExchange> get(const std::string& path) { return test::send(router_, Method::kGet, path); }

  static Json json(const std::shared_ptr<RecordingExchange>& exchange) { return *parse_json_text(exchange->body); }

  test::ScriptedService service_;
  test::ListedModels catalog_;
  http::Router router_;
};

AnswerStarted started(const std::string& prompt) {
  AnswerStarted event;
  event.prompt_tokens = 5;
  event.prompt_text = prompt;
  return event;
}

AnswerDone done() {
  AnswerDone event;
  event.prompt_tokens = 5;
  event.cached_tokens = 2;
  event.generated_tokens = 2;
  return event;
}

ChoiceFinished stopped(const std::string& word, int choice = 0) {
  ChoiceFinished event = finished(FinishReason::kStopString, choice);
  event.stop_string = word;
  event.num_tokens = 2;
  event.seed = 9;
  return event;
}

TEST_F(LlamaServerRoutes, CompletionHasAllOfItsMembers) {
  const auto exchange = post("/completion", R"({"prompt":"say","n_predict":4,"stop":["!"],"return_tokens":true})",
                             {started("say"), text("He", 0, {7}), text("llo", 0, {8}), stopped("!"), done()});
  ASSERT_EQ(exchange->status, 200);
  const Json body = json(exchange);
  EXPECT_EQ(body["content"], "Hello");
  EXPECT_EQ(body["tokens"], Json({7, 8}));
  EXPECT_EQ(body["model"], "only");
  EXPECT_EQ(body["prompt"], "say");
  EXPECT_EQ(body["stop_type"], "word");
  EXPECT_EQ(body["stopping_word"], "!");
  EXPECT_EQ(body["tokens_predicted"], 2);
  EXPECT_EQ(body["tokens_evaluated"], 5);
  EXPECT_EQ(body["tokens_cached"], 2);
  EXPECT_EQ(body["timings"]["cache_n"], 2);
  EXPECT_EQ(body["generation_settings"]["n_predict"], 4);
  EXPECT_EQ(body["generation_settings"]["top_k"], 40);
  EXPECT_EQ(body["generation_settings"]["seed"], 9);
  const GenerateCall& call = service_.generate_calls.at(0);
  EXPECT_EQ(std::get<TextInput>(call.input).text, "say");
  EXPECT_EQ(call.dialect_defaults.temperature, 0.8F);
  EXPECT_EQ(call.dialect_defaults.min_p, 0.05F);
  EXPECT_EQ(call.options.dialect, "llama-server");
}

TEST_F(LlamaServerRoutes, StreamIsPieceByPieceAndEndsWithTheResult) {
  const auto exchange = post("/completion", R"({"prompt":"say","stream":true})",
                             {started("say"), text("He", 0, {7}), text("llo", 0, {8}), stopped("!"), done()});
  std::vector<Json> events;
  for (const std::string& piece : exchange->pieces) {
    ASSERT_EQ(piece.rfind("data: ", 0), 0U) << piece;
    events.push_back(*parse_json_text(piece.substr(6)));
  }
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0], (Json{{"index", 0},
                             {"content", "He"},
                             {"tokens", Json::array()},
                             {"stop", false},
                             {"id_slot", -1},
                             {"tokens_predicted", 1},
                             {"tokens_evaluated", 5}}));
  EXPECT_EQ(events[1]["tokens_predicted"], 2);
  EXPECT_EQ(events[2]["stop"], true);
  EXPECT_EQ(events[2]["content"], "");
  EXPECT_TRUE(exchange->ended);
}

TEST_F(LlamaServerRoutes, SeveralPromptsAndChoicesAreAnArray) {
  service_.scripts.push_back({started("a"), text("x"), text("y", 1), stopped("!"), stopped("!", 1), done()});
  service_.scripts.push_back({started("b"), text("z"), text("w", 1), stopped("!"), stopped("!", 1), done()});
  const Json body = json(post("/completion", R"({"prompt":["a",[1,2]],"n_cmpl":2,"model":"m"})"));
  ASSERT_EQ(body.size(), 4U);
  const std::vector<std::string> contents = {"x", "y", "z", "w"};
  for (std::size_t i = 0; i < contents.size(); ++i) {
    EXPECT_EQ(body[i]["index"], i);
    EXPECT_EQ(body[i]["content"], contents[i]);
  }
  EXPECT_EQ(std::get<TokenInput>(service_.generate_calls.at(1).input).tokens, (std::vector<TokenId>{1, 2}));
}

TEST_F(LlamaServerRoutes, ProbabilitiesNameTokensById) {
  TextDelta delta = text("He", 0, {7});
  AnswerLogprob other{.text = "Ho", .token = 8, .logprob = -2.0F};
  delta.logprobs = {{.text = "He", .token = 7, .logprob = -0.5F, .top = {other}}};
  const Json body =
      json(post("/completion", R"({"prompt":"say","n_probs":1})", {started("say"), delta, stopped("!"), done()}));
  ASSERT_EQ(body["completion_probabilities"].size(), 1U);
  const Json& entry = body["completion_probabilities"][0];
  EXPECT_EQ(entry["id"], 7);
  EXPECT_EQ(entry["logprob"], -0.5);
  EXPECT_EQ(entry["top_logprobs"][0]["id"], 8);
  EXPECT_EQ(service_.generate_calls.at(0).top_logprobs, 1);
}

TEST_F(LlamaServerRoutes, InfillIsATextWithASuffix) {
  post("/infill", R"({"input_prefix":"int ","input_suffix":"}","prompt":"main"})", {started(""), stopped(""), done()});
  const auto& input = std::get<TextInput>(service_.generate_calls.at(0).input);
  EXPECT_EQ(input.text, "int main");
  EXPECT_EQ(input.suffix, "}");
}

TEST_F(LlamaServerRoutes, TheModelIsTheOneThatIsLoadedOrTheOnlyOne) {
  const std::string body = R"({"prompt":"a"})";
  const std::vector<AnswerEvent> script = {started("a"), stopped(""), done()};
  post("/completion", body, script);
  EXPECT_EQ(service_.generate_calls.back().options.model, "only");
  catalog_.models.push_back({.name = "second"});
  EXPECT_EQ(post("/completion", body)->status, 400);
  service_.running_models.resize(1);
  service_.running_models[0].name = "second";
  post("/completion", body, script);
  EXPECT_EQ(service_.generate_calls.back().options.model, "second");
}

TEST_F(LlamaServerRoutes, Texts) {
  struct Case {
    const char* path;
    const char* body;
    const char* answer;
  };
  const std::vector<Case> cases = {
      {"/tokenize", R"({"content":"hi"})", R"({"tokens":[104,105]})"},
      {"/tokenize", R"({"content":"h","add_special":true})", R"({"tokens":[1,104]})"},
      {"/tokenize", R"({"content":"é","with_pieces":true})",
       R"({"tokens":[{"id":195,"piece":[195]},{"id":169,"piece":[169]}]})"},
      {"/detokenize", R"({"tokens":[104,105]})", R"({"content":"hi"})"},
      {"/apply-template", R"({"messages":[{"role":"user","content":"q"}]})", R"({"prompt":"<rendered>"})"},
      {"/tokenize", R"({"content":"h","sparkle":1})",
       R"({"tokens":[104],"warnings":["unknown field 'sparkle' was ignored"]})"}};
  for (const Case& each : cases)
    EXPECT_EQ(post(each.path, each.body)->body, each.answer) << each.body;
}

TEST_F(LlamaServerRoutes, ErrorsHaveTheDialectsShape) {
  struct Case {
    const char* path;
    const char* body;
    int status;
    const char* type;
  };
  const std::vector<Case> cases = {
      {"/completion", "{", 400, "invalid_request_error"},
      {"/completion", "{}", 400, "invalid_request_error"},
      {"/completion", R"({"prompt":"a","n_probs":99})", 400, "invalid_request_error"},
      {"/completion", R"({"prompt":"a","prompt_logprobs":1})", 400, "invalid_request_error"},
      {"/infill", R"({"input_extra":[{"text":"a"}]})", 400, "invalid_request_error"},
      {"/embedding", R"({"content":"a","embd_normalize":1})", 400, "invalid_request_error"},
      {"/detokenize", "{}", 400, "invalid_request_error"},
      {"/lora-adapters", "[]", 501, "not_supported_error"},
      {"/slots/0?action=save", "{}", 501, "not_supported_error"},
      {"/props", "{}", 501, "not_supported_error"}};
  for (const Case& each : cases) {
    const auto exchange = post(each.path, each.body);
    EXPECT_EQ(exchange->status, each.status) << each.path << each.body;
    const Json error = json(exchange)["error"];
    EXPECT_EQ(error["code"], each.status);
    EXPECT_EQ(error["type"], each.type) << each.path << each.body;
  }
  AnswerFailed failed = test::failed(resource_exhausted("too long"), AnswerFailed::Kind::kContextExceeded);
  failed.prompt_tokens = 9;
  failed.context = 8;
  const Json error = json(post("/completion", R"({"prompt":"a"})", {failed}))["error"];
  EXPECT_EQ(error["type"], "exceed_context_size_error");
  EXPECT_EQ(error["n_prompt_tokens"], 9);
  EXPECT_EQ(error["n_ctx"], 8);
}

TEST_F(LlamaServerRoutes, AFailureWithinAStreamIsItsLastEvent) {
  const auto exchange = post("/completion", R"({"prompt":"a","stream":true})",
                             {started("a"), text("He"), test::failed(internal("broken"))});
  ASSERT_EQ(exchange->pieces.size(), 2U);
  EXPECT_EQ((*parse_json_text(exchange->pieces[1].substr(6)))["error"]["message"], "broken");
  EXPECT_TRUE(exchange->ended);
}

TEST_F(LlamaServerRoutes, EmbeddingsAreVectorsInAnArray) {
  EmbeddingReady first;
  first.values = {1.0F, 0.5F};
  const auto exchange = post("/embedding", R"({"content":"a","embd_normalize":-1})", {started(""), first, done()});
  EXPECT_EQ(exchange->body, R"([{"index":0,"embedding":[[1.0,0.5]]}])");
  EXPECT_FALSE(service_.embed_calls.at(0).normalize);
}

TEST_F(LlamaServerRoutes, HealthAndProps) {
  EXPECT_EQ(get("/health")->body, R"({"status":"ok"})");
  EXPECT_TRUE(router_.find(Method::kGet, "/health").route->options.open);
  const Json props = json(get("/props"));
  EXPECT_EQ(props["model_alias"], "only");
  EXPECT_EQ(props["total_slots"], 2);
  EXPECT_EQ(props["default_generation_settings"]["n_ctx"], 128);
  EXPECT_EQ(props["default_generation_settings"]["params"]["repeat_last_n"], 64);
  catalog_.models.clear();
  EXPECT_EQ(json(get("/props"))["warnings"].size(), 1U);
}

TEST_F(LlamaServerRoutes, SlotsAreOpenRequestsAndFreePlaces) {
  OpenRequest request;
  request.id = "r1";
  request.model = "only";
  request.caller_key = "me";
  service_.open_requests.push_back(request);
  Json slots = json(get("/slots"));
  ASSERT_EQ(slots.size(), 2U);
  EXPECT_EQ(slots[0]["id_task"], "r1");
  EXPECT_TRUE(slots[0]["is_processing"].get<bool>());
  EXPECT_FALSE(slots[1]["is_processing"].get<bool>());
  request.caller_key = "other";
  service_.open_requests.push_back(request);
  slots = json(get("/slots"));
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(slots[0]["id_task"], "r1");
  EXPECT_EQ(get("/slots?fail_on_no_slot=1")->status, 503);
}

}  // namespace
}  // namespace mlxr::server
