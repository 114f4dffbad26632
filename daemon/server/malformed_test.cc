// Bodies that no client would send: every answer is in its dialect's shape, and never a 5xx.

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/anthropic/anthropic_routes.h"
#include "daemon/server/json.h"
#include "daemon/server/llama_server/llama_server_routes.h"
#include "daemon/server/openai/openai_routes.h"
#include "tests/support/server_testing.h"

namespace mlxr::server {
namespace {

struct Sample {
  const char* path;
  const char* body;
};

constexpr Sample kSamples[] = {
    {"/v1/chat/completions",
     R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"é"}]},)"
     R"({"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
     R"({"role":"tool","tool_call_id":"a","content":"1"}],"temperature":0.5,"n":2,"stop":["a","b"],"seed":1,)"
     R"("logit_bias":{"1":2},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],)"
     R"("tool_choice":{"type":"function","function":{"name":"f"}},"response_format":{"type":"json_schema",)"
     R"("json_schema":{"name":"n","schema":{"type":"object"}}},"keep_alive":"5m","max_tokens":10})"},
    {"/v1/completions",
     R"({"model":"m","prompt":["a",[1,2,3]],"logprobs":2,"echo":true,"max_tokens":0,"best_of":2,"top_k":-1})"},
    {"/v1/embeddings", R"({"model":"m","input":["a",[1,2]],"encoding_format":"base64","dimensions":2})"},
    {"/v1/rerank", R"({"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1})"},
    {"/v1/responses",
     R"({"model":"m","input":[{"role":"user","content":"a"},{"type":"function_call","call_id":"c","name":"f",)"
     R"("arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"text":{"format":{)"
     R"("type":"text"}},"tools":[{"type":"function","name":"f"}],"reasoning":{"effort":"low"},"store":false})"},
    {"/v1/messages",
     R"({"model":"m","max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"q"},)"
     R"({"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user",)"
     R"("content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]}],"tools":[{"name":"f",)"
     R"("input_schema":{"type":"object"}}],"tool_choice":{"type":"any"},"stop_sequences":["x"]})"},
    {"/completion",
     R"({"model":"m","prompt":["a",[1,2,3]],"n_predict":5,"n_probs":2,"temperature":0.5,"logit_bias":[[1,false]],)"
     R"("json_schema":{"type":"object"},"stop":["x"],"return_tokens":true,"stream":true})"},
    {"/infill", R"({"model":"m","input_prefix":"a","input_suffix":"b","prompt":"c","n_predict":5})"},
    {"/embedding", R"({"model":"m","content":["a",[1,2]],"embd_normalize":-1})"},
};

// Pieces that break readers: other types, huge numbers, deep nesting, bytes that are not UTF-8, half an escape.
const std::vector<std::string>& hostile_pieces() {
  static const std::vector<std::string> kPieces = {"null",
                                                   "true",
                                                   "-1",
                                                   "0",
                                                   "1e308",
                                                   "1e999",
                                                   "-9223372036854775809",
                                                   "18446744073709551616",
                                                   "0.1e-400",
                                                   "\"\"",
                                                   "\"\\ud800\"",
                                                   "\"\\u0000\"",
                                                   "\"\xff\xfe\"",
                                                   "\xc0\x80",
                                                   "[]",
                                                   "{}",
                                                   "[[]]",
                                                   std::string(100, '['),
                                                   std::string(70, '{'),
                                                   "{\"a\":",
                                                   "NaN",
                                                   "Infinity",
                                                   "\\",
                                                   "\"",
                                                   ",",
                                                   ":",
                                                   "}",
                                                   "]",
                                                   std::string("\0", 1),
                                                   "\"model\":1,",
                                                   "\"messages\":5,",
                                                   "/*x*/",
                                                   "'a'",
                                                   "\xef\xbb\xbf",
                                                   "\"type\":\"image_url\"",
                                                   "\"role\":\"robot\""};
  return kPieces;
}

class Mutator {
 public:
  std::string mutate(std::string text) {
    const int changes = 1 + pick(3);
    for (int i = 0; i < changes && !text.empty(); ++i)
      change(text);
    return text;
  }

 private:
  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }

  void change(std::string& text) {
    const auto at = static_cast<std::size_t>(pick(static_cast<int>(text.size())));
    const std::string& piece =
        hostile_pieces()[static_cast<std::size_t>(pick(static_cast<int>(hostile_pieces().size())))];
    switch (pick(5)) {
      case 0:
        text[at] = static_cast<char>(pick(256));
        break;
      case 1:
        text.resize(at);
        break;
      case 2:
        text.insert(at, piece);
        break;
      case 3:
        text.erase(at, std::size_t{1} + static_cast<std::size_t>(pick(20)));
        break;
      default:
        replace_value(text, at, piece);
        break;
    }
  }

  // What stands between the next ':' and the next ',' or '}' becomes `piece`: mostly still JSON, with a wrong type.
  static void replace_value(std::string& text, std::size_t at, const std::string& piece) {
    const std::size_t colon = text.find(':', at);
    if (colon == std::string::npos) return;
    const std::size_t end = text.find_first_of(",}]", colon);
    text.replace(colon + 1, end == std::string::npos ? end : end - colon - 1, piece);
  }

  std::mt19937 random_{20240607};
};

TEST(Malformed, ThousandsOfBodiesAreAnsweredInTheDialectsShape) {
  test::ScriptedService service;
  OpenAiServices services;
  services.common.models = &service;
  http::Router router;
  register_openai_routes(router, services);
  register_anthropic_routes(router, services.common);
  register_llama_server_routes(router, {.common = services.common});
  Mutator mutator;
  int num_refused = 0;
  int num_taken = 0;
  for (int round = 0; round < 700; ++round) {
    for (const Sample& sample : kSamples) {
      const std::string body = mutator.mutate(sample.body);
      const auto exchange = test::send(router, http::Method::kPost, sample.path, body);
      if (!exchange->whole) {
        ++num_taken;
        exchange->peer_leaves();
        continue;
      }
      ++num_refused;
      ASSERT_EQ(exchange->status / 100, 4) << body;
      const Result<Json> answer = parse_json_text(exchange->body);
      ASSERT_TRUE(answer.ok() && answer->contains("error")) << body;
      const Json& error = (*answer)["error"];
      ASSERT_TRUE(error["message"].is_string() && error["type"].is_string()) << body;
      ASSERT_EQ(std::string(sample.path) == "/v1/messages", answer->contains("request_id")) << body;
      ASSERT_EQ(error["message"].get<std::string>().find('\n'), std::string::npos) << body;
    }
    service.generate_calls.clear();
    service.embed_calls.clear();
    service.rerank_calls.clear();
    service.streams.clear();
  }
  // Both happen, or the mutations are not what they should be.
  EXPECT_GT(num_refused, 1000);
  EXPECT_GT(num_taken, 100);
}

}  // namespace
}  // namespace mlxr::server
