#include "daemon/server/ollama/ollama_request.h"

#include <algorithm>
#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace mlxr::server {
namespace {

struct Read {
  OllamaRequest request;
  RequestNotes notes;

  const GenerateCall& call() const { return request.call; }
  const ChatInput& chat() const { return std::get<ChatInput>(request.call.input); }
  const TextInput& text() const { return std::get<TextInput>(request.call.input); }
  std::string error() const { return notes.error.has_value() ? notes.error->message : ""; }
  bool warns(const std::string& words) const {
    return std::any_of(notes.warnings.begin(), notes.warnings.end(),
                       [&words](const std::string& warning) { return warning.find(words) != std::string::npos; });
  }
};

Read generate(const std::string& members) {
  Read read;
  const Result<Json> body = parse_json_text(R"({"model":"m",)" + members + "}");
  if (!body.ok()) ADD_FAILURE() << body.status().message();
  read.request = read_ollama_generate(*body, read.notes);
  return read;
}

Read chat(const std::string& members) {
  Read read;
  const Result<Json> body = parse_json_text(R"({"model":"m",)" + members + "}");
  if (!body.ok()) ADD_FAILURE() << body.status().message();
  read.request = read_ollama_chat(*body, read.notes);
  return read;
}

using Kind = OllamaRequest::Kind;

TEST(OllamaRequest, TakesEveryFieldOfGenerate) {
  struct Row {
    const char* members;
    std::function<bool(const Read&)> holds;
  };
  const Row rows[] = {
      {R"("prompt":"p")", [](const Read& r) { return r.chat().messages.size() == 1 && r.request.stream; }},
      {R"("prompt":"p")", [](const Read& r) { return r.chat().text_without_template && r.request.with_context; }},
      {R"("prompt":"p")", [](const Read& r) { return r.call().overflow == Overflow::kTruncate && r.call().echo; }},
      {R"("prompt":"p","truncate":false)", [](const Read& r) { return r.call().overflow == Overflow::kRefuse; }},
      {R"("prompt":"p","stream":false)", [](const Read& r) { return !r.request.stream; }},
      {R"("prompt":"p","system":"s")", [](const Read& r) { return r.chat().messages[0]["content"] == "s"; }},
      {R"("prompt":"p","template":"{{ messages }}")",
       [](const Read& r) { return r.chat().chat_template == "{{ messages }}"; }},
      {R"("prompt":"p","context":[1,2])",
       [](const Read& r) {
         return r.chat().earlier_tokens == std::vector<TokenId>{1, 2};
       }},
      {R"("prompt":"p","raw":true)", [](const Read& r) { return r.text().text == "p" && !r.request.with_context; }},
      {R"("prompt":"p","suffix":"s")", [](const Read& r) { return r.text().suffix == "s"; }},
      {R"("prompt":"p","think":true)", [](const Read& r) { return r.chat().think == true; }},
      {R"("prompt":"p","think":false)", [](const Read& r) { return r.chat().think == false; }},
      {R"("prompt":"p","think":"low")", [](const Read& r) { return r.chat().reasoning_effort == "low"; }},
      {R"("prompt":"p","think":"max")", [](const Read& r) { return r.warns("\"max\" is taken as \"high\""); }},
      {R"("prompt":"p")", [](const Read& r) { return !r.chat().think.has_value(); }},
      {R"("prompt":"p","format":"json")",
       [](const Read& r) { return r.call().constraint.kind == Constraint::Kind::kJsonObject; }},
      {R"("prompt":"p","format":{"type":"object"})",
       [](const Read& r) { return r.call().constraint.source == R"({"type":"object"})"; }},
      {R"("prompt":"p","format":"")",
       [](const Read& r) { return r.call().constraint.kind == Constraint::Kind::kNone; }},
      {R"("prompt":"p","logprobs":true,"top_logprobs":3)",
       [](const Read& r) { return r.call().logprobs && r.call().top_logprobs == 3; }},
      {R"("prompt":"p","top_logprobs":3)", [](const Read& r) { return r.warns("logprobs is not true"); }},
      {R"("prompt":"p","shift":true)", [](const Read& r) { return r.warns("'shift' has no effect"); }},
      {R"("prompt":"p","shift":false)", [](const Read& r) { return r.notes.warnings.empty(); }},
      {R"("prompt":"p","_debug_render_only":true)",
       [](const Read& r) { return r.request.kind == Kind::kRender && r.call().render_only; }},
      {R"("prompt":"p","images":[])", [](const Read& r) { return r.notes.ok() && r.notes.warnings.empty(); }},
      {R"("prompt":"p","surprise":1)", [](const Read& r) { return r.warns("unknown field 'surprise'"); }},
      {R"("prompt":"p","keep_alive":"10m")",
       [](const Read& r) { return r.call().options.keep_alive == std::chrono::minutes(10); }},
      {R"("prompt":"p","keep_alive":-1)", [](const Read& r) { return r.call().options.keep_alive->count() < 0; }},
      {R"("prompt":"p","keep_alive":0)", [](const Read& r) { return r.request.kind == Kind::kGenerate; }},
      {R"("prompt":"")", [](const Read& r) { return r.request.kind == Kind::kLoad; }},
      {R"("keep_alive":"5m")", [](const Read& r) { return r.request.kind == Kind::kLoad; }},
      {R"("keep_alive":0)", [](const Read& r) { return r.request.kind == Kind::kUnload; }},
      {R"("keep_alive":"0s")", [](const Read& r) { return r.request.kind == Kind::kUnload; }},
  };
  for (const Row& row : rows) {
    const Read read = generate(row.members);
    EXPECT_TRUE(read.notes.ok()) << row.members << ": " << read.error();
    EXPECT_TRUE(row.holds(read)) << row.members;
  }
}

TEST(OllamaRequest, TypesOptions) {
  struct Row {
    const char* options;
    std::function<bool(const Read&)> holds;
  };
  const Row rows[] = {
      {R"("num_ctx":4096)", [](const Read& r) { return r.call().options.context == 4096; }},
      {R"("num_predict":7)", [](const Read& r) { return r.call().max_tokens == 7; }},
      {R"("num_predict":-2)", [](const Read& r) { return r.call().max_tokens == -1; }},
      {R"("temperature":0.5)", [](const Read& r) { return r.call().sampling.temperature == 0.5F; }},
      {R"("temperature":1)", [](const Read& r) { return r.call().sampling.temperature == 1.0F; }},
      {R"("top_k":40.0)", [](const Read& r) { return r.call().sampling.top_k == 40; }},
      {R"("top_p":0.3,"min_p":0.1)", [](const Read& r) { return r.call().sampling.min_p == 0.1F; }},
      {R"("typical_p":0.7)", [](const Read& r) { return r.call().sampling.typical_p == 0.7F; }},
      {R"("repeat_last_n":12)", [](const Read& r) { return r.call().sampling.penalty_last_n == 12; }},
      {R"("repeat_penalty":1.5)", [](const Read& r) { return r.call().sampling.repetition_penalty == 1.5F; }},
      {R"("presence_penalty":0.5)", [](const Read& r) { return r.call().sampling.presence_penalty == 0.5F; }},
      {R"("frequency_penalty":0.5)", [](const Read& r) { return r.call().sampling.frequency_penalty == 0.5F; }},
      {R"("seed":9)", [](const Read& r) { return r.call().sampling.seed == 9U; }},
      {R"("seed":-1)", [](const Read& r) { return !r.call().sampling.seed.has_value(); }},
      {R"("stop":["a","b"])",
       [](const Read& r) {
         return r.call().stop == std::vector<std::string>{"a", "b"};
       }},
      {R"("mirostat":2)", [](const Read& r) { return r.call().sampling.mirostat == 2; }},
      {R"("num_gpu":3)", [](const Read& r) { return r.warns("'options.num_gpu' has no effect"); }},
      {R"("num_gpu":-1)", [](const Read& r) { return r.notes.warnings.empty(); }},
      {R"("num_keep":4)", [](const Read& r) { return r.warns("options.num_keep"); }},
      {R"("use_mmap":true)", [](const Read& r) { return r.notes.warnings.empty(); }},
      {R"("surprise":3)", [](const Read& r) { return r.warns("unknown field 'options.surprise'"); }},
  };
  for (const Row& row : rows) {
    const Read read = generate(std::string(R"("prompt":"p","options":{)") + row.options + "}");
    EXPECT_TRUE(read.notes.ok()) << row.options << ": " << read.error();
    EXPECT_TRUE(row.holds(read)) << row.options;
  }
  const SamplingOverrides defaults = generate(R"("prompt":"p")").call().dialect_defaults;
  EXPECT_EQ(defaults.temperature, 0.8F);
  EXPECT_EQ(defaults.top_k, 40);
  EXPECT_EQ(defaults.top_p, 0.9F);
  EXPECT_EQ(defaults.penalty_last_n, 64);
}

TEST(OllamaRequest, RefusesWhatItCannotDo) {
  struct Row {
    const char* members;
    const char* error;
  };
  const Row rows[] = {
      {R"("prompt":"p","options":{"num_ctx":"big"})", "option \"num_ctx\" must be of type integer"},
      {R"("prompt":"p","options":{"top_k":1.5})", "option \"top_k\" must be of type integer"},
      {R"("prompt":"p","options":{"temperature":"hot"})", "option \"temperature\" must be of type float32"},
      {R"("prompt":"p","options":{"use_mmap":1})", "option \"use_mmap\" must be of type boolean"},
      {R"("prompt":"p","options":{"stop":[1]})", "option \"stop\" must be of type array"},
      {R"("prompt":"p","raw":true,"system":"s")", "raw mode does not support template, system, or context"},
      {R"("prompt":"p","raw":true,"context":[1])", "raw mode does not support template, system, or context"},
      {R"("prompt":"p","top_logprobs":21,"logprobs":true)", "top_logprobs must be between 0 and 20"},
      {R"("prompt":"p","think":"very")",
       "invalid think value: \"very\" (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"},
      {R"("prompt":"p","format":"yaml")",
       "invalid format: the string \"yaml\"; expected \"json\" or a valid JSON Schema object"},
      {R"("prompt":"p","images":["aGk="])", "field 'images' is not supported: models here read text alone"},
      {R"("prompt":"p","template":"{{ .Prompt }}")",
       "field 'template' is in Go's template language, which is not supported: say it in Jinja"},
      {R"("prompt":"p","template":"{{- if .System }}x{{ end }}")",
       "field 'template' is in Go's template language, which is not supported: say it in Jinja"},
      {R"("prompt":5)", "field 'prompt' must be a string; it is the number 5"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(generate(row.members).error(), row.error) << row.members;
  RequestNotes notes;
  (void)read_ollama_generate(Json::object(), notes);
  EXPECT_EQ(notes.error->message, "field 'model' is missing");
}

TEST(OllamaRequest, TakesConversations) {
  const Read read = chat(
      R"("messages":[{"role":"System","content":"s"},{"role":"user","content":"q","images":null},)"
      R"({"role":"assistant","content":"","thinking":"t","tool_calls":[{"id":"c1","function":{"index":0,"name":"f",)"
      R"("arguments":{"z":1,"a":2}}}]},{"role":"tool","content":"7","tool_call_id":"c1"},)"
      R"({"role":"tool","content":"8","tool_name":"g"}],)"
      R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}])");
  ASSERT_TRUE(read.notes.ok()) << read.error();
  EXPECT_TRUE(read.notes.warnings.empty());
  EXPECT_EQ(
      json_text(read.chat().messages),
      R"([{"role":"system","content":"s"},{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":"","reasoning_content":"t","tool_calls":[{"id":"c1","type":"function",)"
      R"("function":{"name":"f","arguments":{"z":1,"a":2}}}]},)"
      R"({"role":"tool","content":"7","tool_call_id":"c1","name":"f"},{"role":"tool","content":"8","name":"g"}])");
  EXPECT_EQ(read.chat().tools.size(), 1U);
  EXPECT_FALSE(read.request.with_context);
  EXPECT_EQ(chat(R"("messages":[])").request.kind, Kind::kLoad);
  EXPECT_EQ(chat(R"("messages":[],"keep_alive":0)").request.kind, Kind::kUnload);
  const Read prefill = chat(R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"It is"}])");
  EXPECT_TRUE(prefill.chat().continue_final_message);
  EXPECT_EQ(chat(R"("messages":[{"role":"user","content":"q","images":["aGk="]}])").error(),
            "field 'messages[0].images' is not supported: models here read text alone");
  EXPECT_EQ(chat(R"("messages":[{"role":"robot","content":"q"}])").error(),
            "field 'messages[0].role' must be one of system, user, assistant, tool; it is \"robot\"");
}

}  // namespace
}  // namespace mlxr::server
