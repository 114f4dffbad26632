#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/json.h"
#include "daemon/server/openai/openai_routes.h"
#include "daemon/server/openai/response_archive.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

using http::Method;
using test::RecordingExchange;

class MemoryArchive : public ResponseArchive {
 public:
  Status insert(const StoredResponse& response) override {
    if (broken) return internal("the disk is full");
    entries[response.id] = response;
    return {};
  }
  Result<std::optional<StoredResponse>> find(const std::string& id, const std::string& key_id) override {
    const auto found = entries.find(id);
    if (found == entries.end() || found->second.key_id != key_id) return std::optional<StoredResponse>();
    return std::optional<StoredResponse>(found->second);
  }
  Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& key_id) override {
    std::vector<StoredResponse> out;
    for (std::optional<std::string> next = id; next.has_value();) {
      MLXR_ASSIGN_OR_RETURN(const std::optional<StoredResponse> entry, find(*next, key_id));
      if (!entry.has_value()) return not_found("there is no response " + *next);
      out.insert(out.begin(), *entry);
      next = entry->previous_id;
    }
    return out;
  }
  Status remove(const std::string& id, const std::string& /*key_id*/) override {
    entries.erase(id);
    return {};
  }

  std::map<std::string, StoredResponse> entries;
  bool broken = false;
};

class Responses : public testing::Test {
 protected:
  Responses() {
    OpenAiServices services;
    services.common.models = &service_;
    services.common.stamp = test::fixed_stamp();
    services.archive = &archive_;
    services.key_id = [this](const http::Request&) { return key_; };
    register_openai_routes(router_, services);
  }

  std::shared_ptr<RecordingExchange> post(const std::string& body, std::vector<AnswerEvent> script = {}) {
    if (!script.empty()) service_.scripts.push_back(std::move(script));
    return test::send(router_, Method::kPost, "/v1/responses", body);
  }
  // Events of a turn that says `words`.
  static std::vector<AnswerEvent> turn(const std::string& words) {
    TextDelta text;
    text.text = words;
    AnswerDone done;
    done.prompt_tokens = 3;
    done.generated_tokens = 2;
    return {AnswerStarted{}, text, ChoiceFinished{}, done};
  }
  Json messages_of_last_call() { return std::get<ChatInput>(service_.generate_calls.back().input).messages; }

  test::ScriptedService service_;
  MemoryArchive archive_;
  std::string key_;
  http::Router router_;
};

// "type" or "type output_index" of each event, with the check that each is named as its data, and counted.
std::vector<std::string> event_types(const RecordingExchange& exchange) {
  std::vector<std::string> out;
  for (const std::string& piece : exchange.pieces) {
    const std::size_t line = piece.find('\n');
    const Result<Json> data = parse_json_text(std::string_view(piece).substr(line + 7));
    if (!data.ok()) {
      ADD_FAILURE() << piece;
      continue;
    }
    EXPECT_EQ("event: " + (*data)["type"].get<std::string>(), piece.substr(0, line));
    EXPECT_EQ((*data)["sequence_number"].get<std::size_t>(), out.size());
    std::string name = (*data)["type"].get<std::string>();
    if (data->contains("output_index")) name += " " + std::to_string((*data)["output_index"].get<int>());
    out.push_back(std::move(name));
  }
  return out;
}

TEST_F(Responses, EventsComeInTheirOrder) {
  ReasoningDelta thought;
  thought.text = "hm";
  TextDelta words;
  words.text = "Hi";
  ToolCallDelta call;
  call.id = "call_a";
  call.name = "f";
  ToolCallDelta arguments;
  arguments.arguments = "{}";
  ChoiceFinished finish;
  finish.has_tool_calls = true;
  const auto exchange = post(R"({"model":"m","input":"hello","stream":true,"tools":[{"type":"function","name":"f"}]})",
                             {AnswerStarted{}, thought, thought, words, words, call, arguments, finish, AnswerDone{}});
  EXPECT_EQ(event_types(*exchange),
            (std::vector<std::string>{
                "response.created", "response.in_progress", "response.output_item.added 0",
                "response.reasoning_summary_text.delta 0", "response.reasoning_summary_text.delta 0",
                "response.reasoning_summary_text.done 0", "response.output_item.done 0", "response.output_item.added 1",
                "response.content_part.added 1", "response.output_text.delta 1", "response.output_text.delta 1",
                "response.output_text.done 1", "response.content_part.done 1", "response.output_item.done 1",
                "response.output_item.added 2", "response.function_call_arguments.delta 2",
                "response.function_call_arguments.done 2", "response.output_item.done 2", "response.completed"}));
  EXPECT_EQ(exchange->pieces[9],
            "event: response.output_text.delta\n"
            R"(data: {"type":"response.output_text.delta","sequence_number":9,"item_id":"msg_4","output_index":1,)"
            R"("content_index":0,"delta":"Hi","logprobs":[]})"
            "\n\n");
  EXPECT_EQ(exchange->body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(exchange->ended);
}

TEST_F(Responses, WholeObject) {
  const auto exchange = post(
      R"({"model":"m","input":"hello","instructions":"be kind","metadata":{"a":"b"},"max_output_tokens":9,
          "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},"store":false})",
      turn("{}"));
  ASSERT_EQ(exchange->status, 200) << exchange->body;
  Result<Json> body = parse_json_text(exchange->body);
  ASSERT_TRUE(body.ok());
  body->erase("timings");
  EXPECT_EQ(
      json_text(*body),
      R"({"id":"resp_1","object":"response","created_at":1700000000,"status":"completed","background":false,)"
      R"("error":null,"incomplete_details":null,"model":"m","output":[{"id":"msg_2","type":"message",)"
      R"("status":"completed","role":"assistant","content":[{"type":"output_text","text":"{}","annotations":[],)"
      R"("logprobs":[]}]}],"instructions":"be kind","max_output_tokens":9,"tools":[],"tool_choice":"auto",)"
      R"("parallel_tool_calls":true,"reasoning":{"effort":null,"summary":null},"text":{"format":{)"
      R"("type":"json_schema","name":"n","schema":{"type":"object"}}},"previous_response_id":null,"store":false,)"
      R"("temperature":1.0,"top_p":1.0,"top_logprobs":0,"truncation":"disabled","user":null,"metadata":{"a":"b"},)"
      R"("usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,)"
      R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}})");
  const GenerateCall& call = service_.generate_calls.at(0);
  EXPECT_EQ(call.constraint.kind, Constraint::Kind::kJsonSchema);
  EXPECT_EQ(call.max_tokens, 9);
  EXPECT_EQ(call.options.request_id, "resp_1");
  EXPECT_EQ(json_text(messages_of_last_call()),
            R"([{"role":"system","content":"be kind"},{"role":"user","content":"hello"}])");
  EXPECT_TRUE(archive_.entries.empty());
}

TEST_F(Responses, GoesOnFromAStoredOne) {
  post(R"({"model":"m","input":"one","instructions":"first only"})", turn("1"));
  post(R"({"model":"m","input":"two","previous_response_id":"resp_1"})", turn("2"));
  ASSERT_EQ(archive_.entries.size(), 2U);
  std::string second;
  for (const auto& [id, entry] : archive_.entries) {
    if (entry.previous_id == "resp_1") second = id;
  }
  const auto third = post(R"({"model":"m","input":"three","previous_response_id":")" + second + "\"}", turn("3"));
  EXPECT_EQ(third->status, 200);
  EXPECT_EQ(json_text(messages_of_last_call()),
            R"([{"role":"user","content":"one"},{"role":"assistant","content":"1"},{"role":"user","content":"two"},)"
            R"({"role":"assistant","content":"2"},{"role":"user","content":"three"}])");
}

TEST_F(Responses, AnotherKeysResponseDoesNotExist) {
  key_ = "alice";
  post(R"({"model":"m","input":"one"})", turn("1"));
  key_ = "bob";
  const auto exchange = post(R"({"model":"m","input":"two","previous_response_id":"resp_1"})");
  EXPECT_EQ(exchange->status, 404);
  EXPECT_NE(exchange->body.find("previous_response_id"), std::string::npos);
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/responses/resp_1")->status, 404);
  key_ = "alice";
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/responses/resp_1")->status, 200);
}

TEST_F(Responses, StoredOnesAreReadDeletedAndTheirItemsListed) {
  const auto made =
      post(R"({"model":"m","input":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})", turn("1"));
  const auto read = test::send(router_, Method::kGet, "/v1/responses/resp_1");
  EXPECT_EQ(read->body, made->body);
  const auto items = test::send(router_, Method::kGet, "/v1/responses/resp_1/input_items?order=asc&limit=1");
  const Result<Json> list = parse_json_text(items->body);
  ASSERT_TRUE(list.ok()) << items->body;
  EXPECT_EQ((*list)["data"].size(), 1U);
  EXPECT_EQ((*list)["data"][0]["content"], "a");
  EXPECT_EQ((*list)["has_more"], true);
  const auto rest =
      test::send(router_, Method::kGet,
                 "/v1/responses/resp_1/input_items?order=asc&after=" + (*list)["last_id"].get<std::string>());
  EXPECT_EQ((*parse_json_text(rest->body))["data"][0]["content"], "b");
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/responses/resp_1/input_items?limit=x")->status, 400);
  const auto gone = test::send(router_, Method::kDelete, "/v1/responses/resp_1");
  EXPECT_EQ(gone->body, R"({"id":"resp_1","object":"response.deleted","deleted":true})");
  EXPECT_EQ(test::send(router_, Method::kGet, "/v1/responses/resp_1")->status, 404);
}

TEST_F(Responses, OneThatRunsIsCancelledByItsId) {
  OpenRequest open;
  open.id = "resp_9";
  open.model = "m";
  service_.open_requests.push_back(open);
  EXPECT_EQ(test::send(router_, Method::kPost, "/v1/responses/resp_9/cancel")->status, 200);
  EXPECT_EQ(service_.cancelled, std::vector<std::string>{"resp_9"});
  EXPECT_EQ(test::send(router_, Method::kPost, "/v1/responses/resp_8/cancel")->status, 404);
  service_.open_requests[0].caller_key = "somebody";
  EXPECT_EQ(test::send(router_, Method::kPost, "/v1/responses/resp_9/cancel")->status, 404);
  EXPECT_EQ(service_.cancelled.size(), 1U);
  post(R"({"model":"m","input":"a"})", turn("1"));
  const auto over = test::send(router_, Method::kPost, "/v1/responses/resp_1/cancel");
  EXPECT_EQ(over->status, 400);
  EXPECT_NE(over->body.find("response resp_1 is completed already"), std::string::npos);
}

TEST_F(Responses, EndsOfOtherKinds) {
  ChoiceFinished finish;
  finish.reason = FinishReason::kMaxTokens;
  TextDelta words;
  words.text = "Hi";
  const auto cut = post(R"({"model":"m","input":"a","stream":true})", {AnswerStarted{}, words, finish, AnswerDone{}});
  EXPECT_EQ(event_types(*cut).back(), "response.incomplete");
  EXPECT_NE(cut->pieces.back().find(R"("incomplete_details":{"reason":"max_output_tokens"})"), std::string::npos);
  AnswerFailed failure;
  failure.status = internal("the device is gone");
  const auto broken = post(R"({"model":"m","input":"a","stream":true})", {AnswerStarted{}, words, failure});
  EXPECT_EQ(event_types(*broken).back(), "response.failed");
  EXPECT_NE(broken->pieces.back().find(R"("error":{"code":"server_error","message":"the device is gone"})"),
            std::string::npos);
  const auto early = post(R"({"model":"m","input":"a","stream":true})", {failure});
  EXPECT_EQ(early->status, 500);
}

TEST_F(Responses, AFullDiskIsAWarning) {
  archive_.broken = true;
  const auto exchange = post(R"({"model":"m","input":"a"})", turn("1"));
  EXPECT_EQ(exchange->status, 200);
  EXPECT_EQ(exchange->header("X-MLXR-Warning"), "the response was not stored: the disk is full");
}

TEST_F(Responses, ItemsBecomeMessages) {
  post(R"({"model":"m","store":false,"input":[{"role":"user","content":[{"type":"input_text","text":"q"}]},
          {"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"hm"}]},
          {"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me see"}]},
          {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
          {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
          {"type":"function_call_output","call_id":"c1","output":"42"},
          {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"43"}]}]})",
       turn("1"));
  EXPECT_EQ(json_text(messages_of_last_call()),
            R"([{"role":"user","content":"q"},{"role":"assistant","content":"let me see","reasoning_content":"hm",)"
            R"("tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1}}},)"
            R"({"id":"c2","type":"function","function":{"name":"g","arguments":{}}}]},)"
            R"({"role":"tool","content":"42","tool_call_id":"c1","name":"f"},)"
            R"({"role":"tool","content":"43","tool_call_id":"c2","name":"g"}])");
}

TEST_F(Responses, WhatIsNotSupportedIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("background":true)", "field 'background' is not supported: say stream, and keep the connection"},
      {R"("conversation":"c")", "field 'conversation' is not supported: say previous_response_id"},
      {R"("truncation":"some")", "field 'truncation' must be one of auto, disabled; it is the string \"some\""},
      {R"("previous_response_id":"resp_none")", "there is no response resp_none"}};
  for (const auto& [members, message] : cases) {
    const auto exchange = post(R"({"model":"m","input":"a",)" + members + "}");
    const Result<Json> body = parse_json_text(exchange->body);
    ASSERT_TRUE(body.ok() && body->contains("error")) << exchange->body;
    EXPECT_EQ((*body)["error"]["message"], message);
  }
  const auto image = post(R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]})");
  EXPECT_EQ(image->status, 400);
  const auto hosted = post(R"({"model":"m","input":"a","tools":[{"type":"web_search"}]})", turn("1"));
  EXPECT_EQ(hosted->header("X-MLXR-Warning"),
            "the tool of type \"web_search\" was left out: this server has no tools of its own");
}

}  // namespace
}  // namespace mlxr::server
