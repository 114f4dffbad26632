#include "daemon/server/ollama/ollama_routes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/registry/create.h"
#include "daemon/server/json.h"
#include "daemon/server/ollama/ollama_answer.h"
#include "daemon/server/ollama/ollama_test_services.h"
#include "tests/support/answer_events.h"
#include "tests/support/gguf_bytes.h"
#include "tests/support/server_testing.h"
#include "tests/support/temp_dir.h"

namespace mlxr::server {
namespace {

using test::call;
using test::failed;
using test::finished;
using test::reasoning;
using test::text;

using http::Method;

// 2023-11-14T22:13:20.5Z
constexpr std::chrono::system_clock::time_point kNow =
    std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'500));
constexpr const char* kStamp = "2023-11-14T22:13:20.5Z";
constexpr const char* kDigest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

AnswerStarted started(std::vector<std::string> warnings = {}) {
  AnswerStarted event;
  event.model = "m:latest";
  event.prompt_tokens = 3;
  event.prompt_ids = {1, 2, 3};
  event.prompt_text = "<p>";
  event.warnings = std::move(warnings);
  return event;
}

AnswerDone done() {
  AnswerDone event;
  event.prompt_tokens = 3;
  event.generated_tokens = 2;
  event.timings.prompt_ms = 10.0;
  event.timings.generation_ms = 20.5;
  event.timings.total_ms = 31.0;
  return event;
}

const std::string kTimes =
    R"("total_duration":31000000,"prompt_eval_count":3,"prompt_eval_duration":10000000,"eval_count":2,)"
    R"("eval_duration":20500000)";

std::string stamped(const std::string& rest) {
  return std::string(R"({"model":"m","created_at":")") + kStamp + "\"," + rest + "}";
}

class OllamaRoutes : public testing::Test {
 protected:
  OllamaRoutes() {
    OllamaServices services;
    services.common.models = &service_;
    services.common.stamp = test::fixed_stamp();
    services.store = &store_;
    services.transfers = &transfers_;
    services.version = "1.2.3";
    services.now = [] { return kNow; };
    register_ollama_routes(router_, services);
  }

  std::shared_ptr<test::RecordingExchange> post(const std::string& path, const std::string& body) {
    return test::send(router_, Method::kPost, path, body);
  }
  std::shared_ptr<test::RecordingExchange> get(const std::string& path) {
    return test::send(router_, Method::kGet, path);
  }
  static std::string error_of(const test::RecordingExchange& exchange) {
    const Result<Json> body = parse_json_text(exchange.body);
    return body.ok() ? (*body).value("error", "") : "";
  }
  ModelRecord& add_model(const std::string& name) {
    ModelRecord& record = store_.records[name];
    record.name = name;
    record.digest = kDigest;
    record.details.format = "gguf";
    record.details.family = "llama";
    record.details.families = {"llama"};
    record.details.parameter_size = "8.0B";
    record.details.quantization_level = "Q4_K_M";
    record.capabilities = {"completion", "tools"};
    record.modified = kNow;
    return record;
  }

  test::ScriptedService service_;
  ScriptedStore store_;
  ScriptedTransfers transfers_;
  http::Router router_;
};

TEST_F(OllamaRoutes, SaysWhatItIs) {
  EXPECT_EQ(get("/")->body, "Ollama is running");
  EXPECT_EQ(test::send(router_, Method::kHead, "/")->status, 200);
  EXPECT_EQ(get("/api/version")->body, R"({"version":"0.13.0","mlxr":"1.2.3"})");
  EXPECT_EQ(get("/api/status")->body, R"({"cloud":{"disabled":true,"source":"none"}})");
  const auto cloud = post("/api/me", "{}");
  EXPECT_EQ(cloud->status, 404);
  EXPECT_EQ(cloud->body, R"({"error":"no such route"})");
}

TEST_F(OllamaRoutes, StreamsTextLineByLine) {
  service_.scripts.push_back({LoadProgress{0.5}, started({"w"}), reasoning("hm"), text("Hel", 0, {7}),
                              text("lo", 0, {8}), finished(FinishReason::kMaxTokens), done()});
  const auto exchange = post("/api/generate", R"({"model":"m","prompt":"p"})");
  EXPECT_EQ(exchange->status, 200);
  EXPECT_EQ(exchange->header("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(exchange->header("X-MLXR-Warning"), "w");
  EXPECT_TRUE(exchange->ended);
  const std::vector<std::string> lines = {
      stamped(R"("response":"","thinking":"hm","done":false)") + "\n",
      stamped(R"("response":"Hel","done":false)") + "\n", stamped(R"("response":"lo","done":false)") + "\n",
      stamped(R"("response":"","done":true,"done_reason":"length","context":[1,2,3,7,8],)" + kTimes +
              R"(,"warnings":["w"])") +
          "\n"};
  EXPECT_EQ(exchange->pieces, lines);
  EXPECT_EQ(service_.generate_calls.at(0).options.dialect, "ollama");
}

TEST_F(OllamaRoutes, AnswersInOneObject) {
  service_.scripts.push_back({started(), text("Hello", 0, {7}), finished(), done()});
  const auto exchange = post("/api/generate", R"({"model":"m","prompt":"p","stream":false})");
  EXPECT_EQ(exchange->header("Content-Type").substr(0, 16), "application/json");
  EXPECT_EQ(exchange->body,
            stamped(R"("response":"Hello","done":true,"done_reason":"stop","context":[1,2,3,7],)" + kTimes));
}

TEST_F(OllamaRoutes, SendsToolCallsWhole) {
  const std::vector<AnswerEvent> script = {started(),
                                           text("I look."),
                                           call(0, "call_1", "f", R"({"a")"),
                                           call(0, "", "", R"(:1})"),
                                           call(1, "call_2", "g", "{}"),
                                           finished(),
                                           done()};
  service_.scripts = {script, script};
  const auto stream = post("/api/chat", R"({"model":"m","messages":[{"role":"user","content":"q"}]})");
  const std::string first = R"({"id":"call_1","function":{"index":0,"name":"f","arguments":{"a":1}}})";
  const std::string second = R"({"id":"call_2","function":{"index":1,"name":"g","arguments":{}}})";
  const std::vector<std::string> lines = {
      stamped(R"("message":{"role":"assistant","content":"I look."},"done":false)") + "\n",
      stamped(R"("message":{"role":"assistant","content":"","tool_calls":[)" + first + R"(]},"done":false)") + "\n",
      stamped(R"("message":{"role":"assistant","content":"","tool_calls":[)" + second + R"(]},"done":false)") + "\n",
      stamped(R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",)" + kTimes) + "\n"};
  EXPECT_EQ(stream->pieces, lines);
  const auto whole = post("/api/chat", R"({"model":"m","stream":false,"messages":[{"role":"user","content":"q"}]})");
  EXPECT_EQ(whole->body, stamped(R"("message":{"role":"assistant","content":"I look.","tool_calls":[)" + first + "," +
                                 second + R"(]},"done":true,"done_reason":"stop",)" + kTimes));
}

TEST_F(OllamaRoutes, ShowsLogprobs) {
  TextDelta delta = text("a", 0, {7});
  AnswerLogprob entry;
  entry.text = "a";
  entry.logprob = -0.5F;
  AnswerLogprob other;
  other.text = "b";
  other.logprob = -1.0F;
  entry.top = {other};
  delta.logprobs = {entry};
  service_.scripts.push_back({started(), delta, finished(), done()});
  const auto exchange = post("/api/generate", R"({"model":"m","prompt":"p","logprobs":true,"top_logprobs":1})");
  EXPECT_EQ(exchange->pieces.at(0),
            stamped(R"("response":"a","done":false,"logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],)"
                    R"("top_logprobs":[{"token":"b","logprob":-1.0,"bytes":[98]}]}])") +
                "\n");
}

TEST_F(OllamaRoutes, LoadsAndUnloads) {
  service_.scripts.push_back({LoadProgress{1.0}, done()});
  EXPECT_EQ(post("/api/generate", R"({"model":"m"})")->body,
            stamped(R"("response":"","done":true,"done_reason":"load")"));
  EXPECT_EQ(service_.load_calls.at(0).model, "m");
  EXPECT_EQ(post("/api/chat", R"({"model":"m","messages":[],"keep_alive":0})")->body,
            stamped(R"("message":{"role":"assistant","content":""},"done":true,"done_reason":"unload")"));
  EXPECT_EQ(service_.unloaded, std::vector<std::string>{"m"});
  service_.status = not_found("not loaded");
  add_model("m");
  EXPECT_EQ(post("/api/generate", R"({"model":"m","keep_alive":0})")->status, 200);
  const auto missing = post("/api/generate", R"({"model":"x","keep_alive":0})");
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->body, R"({"error":"model 'x' not found"})");
}

TEST_F(OllamaRoutes, ShowsThePromptAlone) {
  service_.scripts.push_back({started(), done()});
  EXPECT_EQ(post("/api/generate", R"({"model":"m","prompt":"p","_debug_render_only":true})")->body,
            stamped(R"("response":"","done":true,"done_reason":"stop",)"
                    R"("_debug_info":{"rendered_template":"<p>","image_count":0})"));
}

TEST_F(OllamaRoutes, SaysWhatWentWrong) {
  struct Row {
    AnswerFailed failed;
    int status;
    const char* error;
  };
  using Kind = AnswerFailed::Kind;
  const Row rows[] = {
      {failed(not_found("x"), Kind::kModelNotFound), 404, "model 'm' not found"},
      {failed(resource_exhausted("x"), Kind::kQueueFull), 503,
       "server busy, please try again.  maximum pending requests exceeded"},
      {failed(resource_exhausted("it does not fit"), Kind::kMemoryFull), 503, "it does not fit"},
      {failed(unsupported("think: \"m:latest\" does not support thinking")), 400, "\"m\" does not support thinking"},
      {failed(unsupported("tools: the chat template of \"m\" does not know them")), 400, "m does not support tools"},
      {failed(unsupported("suffix: \"m\" has no tokens to fill in the middle")), 400, "\"m\" does not support insert"},
      {failed(unsupported("\"m\" has no chat template")), 400, "\"m\" does not support chat"},
      {failed(internal("broken")), 500, "broken"},
  };
  for (const Row& row : rows) {
    service_.scripts.push_back({row.failed});
    const auto exchange = post("/api/chat", R"({"model":"m","messages":[{"role":"user","content":"q"}]})");
    EXPECT_EQ(exchange->status, row.status) << row.error;
    EXPECT_EQ(error_of(*exchange), row.error);
  }
  service_.scripts.push_back({started(), text("a"), failed(internal("broken"))});
  const auto late = post("/api/generate", R"({"model":"m","prompt":"p"})");
  EXPECT_EQ(late->status, 200);
  EXPECT_EQ(late->pieces.back(), "{\"error\":\"broken\"}\n");
  EXPECT_EQ(post("/api/chat", "")->body, R"({"error":"missing request body"})");
  EXPECT_EQ(post("/api/chat", "{")->status, 400);
}

TEST_F(OllamaRoutes, Embeds) {
  EmbeddingReady first{.input = 0, .num_tokens = 2, .values = {1.0F, 0.5F}};
  EmbeddingReady second{.input = 1, .num_tokens = 3, .values = {0.0F, 1.0F}};
  service_.scripts.push_back({first, second, done()});
  EXPECT_EQ(post("/api/embed", R"({"model":"m","input":["a","b"],"dimensions":2})")->body,
            R"({"model":"m","embeddings":[[1.0,0.5],[0.0,1.0]],"total_duration":31000000,"prompt_eval_count":5})");
  EXPECT_EQ(service_.embed_calls.at(0).dimensions, 2);
  EXPECT_EQ(service_.embed_calls.at(0).overflow, Overflow::kTruncate);
  EXPECT_TRUE(service_.embed_calls.at(0).normalize);
  service_.scripts.push_back({first, done()});
  EXPECT_EQ(post("/api/embeddings", R"({"model":"m","prompt":"a"})")->body, R"({"embedding":[1.0,0.5]})");
  EXPECT_FALSE(service_.embed_calls.at(1).normalize);
  service_.scripts.push_back({AnswerDone()});
  EXPECT_EQ(post("/api/embed", R"({"model":"m"})")->body, R"({"model":"m","embeddings":[]})");
  EXPECT_EQ(service_.load_calls.size(), 1U);
  EXPECT_EQ(post("/api/embed", R"({"model":"m","input":5})")->body, R"({"error":"invalid input type"})");
  service_.scripts.push_back({failed(not_found("x"), AnswerFailed::Kind::kModelNotFound)});
  EXPECT_EQ(error_of(*post("/api/embed", R"({"model":"m","input":"a"})")),
            "model \"m\" not found, try pulling it first");
  AnswerFailed too_long = failed(resource_exhausted("x"), AnswerFailed::Kind::kContextExceeded);
  too_long.prompt_tokens = 9;
  too_long.context = 4;
  service_.scripts.push_back({too_long});
  const auto exceeded = post("/api/embed", R"({"model":"m","input":"a","truncate":false})");
  EXPECT_EQ(exceeded->status, 400);
  EXPECT_EQ(error_of(*exceeded), "the input length exceeds the context length (9 tokens, 4 fit)");
  EXPECT_EQ(service_.embed_calls.back().overflow, Overflow::kRefuse);
}

TEST_F(OllamaRoutes, ListsModels) {
  ModelSummary summary;
  summary.name = "m:latest";
  summary.digest = kDigest;
  summary.size_bytes = 12;
  summary.modified = kNow;
  summary.capabilities = {"completion"};
  store_.summaries = {summary};
  EXPECT_EQ(get("/api/tags")->body,
            std::string(R"({"models":[{"name":"m:latest","model":"m:latest","modified_at":")") + kStamp +
                R"(","size":12,"digest":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",)"
                R"("details":{"parent_model":"","format":"","family":"","families":[],"parameter_size":"",)"
                R"("quantization_level":""},"capabilities":["completion"]}]})");
}

TEST_F(OllamaRoutes, ListsWhatIsLoadedByTheTimeThatItStays) {
  add_model("m:latest");
  RunningModel brief;
  brief.name = "m:latest";
  brief.digest = kDigest;
  brief.plan.weight_bytes = 100;
  brief.context = 4096;
  brief.expires = kNow + std::chrono::minutes(5);
  RunningModel pinned;
  pinned.name = "gone";
  service_.running_models = {brief, pinned};
  const Result<Json> body = parse_json_text(get("/api/ps")->body);
  ASSERT_TRUE(body.ok());
  const Json& models = (*body)["models"];
  EXPECT_EQ(models[0]["name"], "gone");
  EXPECT_EQ(models[0]["expires_at"].get<std::string>().substr(0, 4), "2316");
  EXPECT_EQ(models[1]["expires_at"], "2023-11-14T22:18:20.5Z");
  EXPECT_EQ(models[1]["size"], 100);
  EXPECT_EQ(models[1]["context_length"], 4096);
  EXPECT_EQ(models[1]["details"]["family"], "llama");
}

TEST_F(OllamaRoutes, ShowsAModel) {
  const test::TempDir folder;
  // A key with six numbers, one with a text, and a tensor of 2 x 4 floats.
  test::GgufBytes file;
  file.counts(1, 2).key("general.architecture", 8).string("llama");
  file.key("llama.list", 9).u32(4).length(6);
  for (std::uint32_t i = 0; i < 6; ++i)
    file.u32(i);
  file.tensor("a.weight", {4, 2}, 0, 0).data(32);
  test::write_file(folder.path("m.gguf"), file.text());
  ModelRecord& record = add_model("m");
  record.path = folder.path("m.gguf");
  record.licenses = {"MIT", "more"};
  record.parameters = {{"temperature", 0.5}, {"stop", std::vector<std::string>{"a"}}};
  record.own_template = "{{ x }}";
  record.system = "Be brief.";
  record.messages = {{"user", "hi"}};
  record.details.num_parameters = 8;
  const auto exchange = post("/api/show", R"({"model":"m"})");
  ASSERT_EQ(exchange->status, 200) << exchange->body;
  Json shown = *parse_json_text(exchange->body);
  EXPECT_EQ(shown["license"], "MIT\nmore");
  EXPECT_EQ(shown["template"], "{{ x }}");
  EXPECT_EQ(shown["system"], "Be brief.");
  EXPECT_EQ(json_text(shown["messages"]), R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(json_text(shown["model_info"]),
            R"({"general.architecture":"llama","llama.list":[],"general.parameter_count":8})");
  EXPECT_EQ(json_text(shown["tensors"]), R"([{"name":"a.weight","type":"F32","shape":[4,2]}])");
  EXPECT_EQ(json_text(shown["capabilities"]), R"(["completion","tools"])");
  EXPECT_EQ(shown["modified_at"], kStamp);
  shown = *parse_json_text(post("/api/show", R"({"name":"m","verbose":true,"system":"s"})")->body);
  EXPECT_EQ(json_text(shown["model_info"]["llama.list"]), "[0,1,2,3,4,5]");
  EXPECT_EQ(shown["system"], "s");
  const auto copilot =
      test::send(router_, Method::kPost, "/api/show", R"({"model":"m"})", {{"User-Agent", "GitHubCopilotChat/1"}});
  EXPECT_EQ((*parse_json_text(copilot->body))["model_info"]["general.basename"], "m");
  record.path = folder.path("gone.gguf");
  shown = *parse_json_text(post("/api/show", R"({"model":"m"})")->body);
  EXPECT_TRUE(shown["model_info"].is_object());
  EXPECT_TRUE(shown.contains("warnings"));
  const auto missing = post("/api/show", R"({"model":"x"})");
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->body, R"({"error":"model 'x' not found"})");
}

TEST_F(OllamaRoutes, CopiesAndDeletes) {
  add_model("m");
  const auto copied = post("/api/copy", R"({"source":"m","destination":"n"})");
  EXPECT_EQ(copied->status, 200);
  EXPECT_EQ(copied->body, "");
  EXPECT_TRUE(store_.records.count("n") == 1);
  const auto missing = post("/api/copy", R"({"source":"x","destination":"n"})");
  EXPECT_EQ(missing->status, 404);
  EXPECT_EQ(missing->body, R"({"error":"model \"x\" not found"})");
  EXPECT_EQ(post("/api/copy", R"({"source":"m"})")->status, 400);
  EXPECT_EQ(test::send(router_, Method::kDelete, "/api/delete", R"({"name":"n"})")->status, 200);
  EXPECT_TRUE(store_.records.count("n") == 0);
  EXPECT_EQ(test::send(router_, Method::kDelete, "/api/delete", R"({"model":"n"})")->status, 404);
}

TEST_F(OllamaRoutes, TakesBlobs) {
  const std::string path = std::string("/api/blobs/") + kDigest;
  EXPECT_EQ(test::send(router_, Method::kHead, path)->status, 404);
  EXPECT_EQ(post(path, "")->status, 201);
  EXPECT_EQ(post(path, "")->status, 200);
  EXPECT_EQ(test::send(router_, Method::kHead, path)->status, 200);
  const auto bad = post("/api/blobs/sha256:12", "");
  EXPECT_EQ(bad->status, 400);
  EXPECT_NE(error_of(*bad).find("invalid digest format"), std::string::npos);
  store_.blobs.clear();
  store_.add_status = corrupt("digest mismatch, expected \"a\", got \"b\"");
  const auto other = post(path, "");
  EXPECT_EQ(other->status, 400);
  EXPECT_EQ(error_of(*other), "digest mismatch, expected \"a\", got \"b\"");
}

TEST_F(OllamaRoutes, PullsLineByLine) {
  const auto exchange = post("/api/pull", R"({"model":"m","insecure":true})");
  EXPECT_EQ(transfers_.names, std::vector<std::string>{"insecure m"});
  transfers_.sink({.status = "pulling manifest"});
  transfers_.sink({.status = "pulling 001122334455", .digest = kDigest, .total = 10, .completed = 4});
  exchange->tick();
  EXPECT_FALSE(exchange->ended);
  transfers_.sink({.status = "success"});
  transfers_.last.lock()->is_done = true;
  exchange->tick();
  EXPECT_TRUE(exchange->ended);
  EXPECT_EQ(exchange->body, std::string("{\"status\":\"pulling manifest\"}\n"
                                        "{\"status\":\"pulling 001122334455\",\"digest\":\"") +
                                kDigest + "\",\"total\":10,\"completed\":4}\n{\"status\":\"success\"}\n");
  exchange->tick();
}

TEST_F(OllamaRoutes, SaysWhyAPullFailed) {
  auto exchange = post("/api/pull", R"({"model":"m"})");
  transfers_.last.lock()->is_done = true;
  transfers_.last.lock()->status = not_found("no such model");
  exchange->tick();
  EXPECT_EQ(exchange->status, 404);
  EXPECT_EQ(exchange->body, R"({"error":"no such model"})");
  exchange = post("/api/pull", R"({"model":"m"})");
  transfers_.sink({.status = "pulling manifest"});
  transfers_.last.lock()->is_done = true;
  transfers_.last.lock()->status = corrupt("digest mismatch");
  exchange->tick();
  EXPECT_EQ(exchange->pieces.back(), "{\"error\":\"digest mismatch\"}\n");
  EXPECT_EQ(post("/api/pull", R"({"model":"a b"})")->status, 400);
  exchange = post("/api/push", R"({"model":"me/m","stream":false})");
  EXPECT_EQ(transfers_.names.back(), "push me/m");
  transfers_.sink({.status = "pushing manifest"});
  transfers_.sink({.status = "success"});
  transfers_.last.lock()->is_done = true;
  exchange->tick();
  EXPECT_EQ(exchange->body, R"({"status":"success"})");
}

TEST_F(OllamaRoutes, Creates) {
  store_.create_steps = {
      {.status = "parsing GGUF"},
      {.status = "quantizing F16 model to Q4_K_M", .digest = kDigest, .total_bytes = 9, .completed_bytes = 3},
      {.status = "success"}};
  const auto exchange =
      post("/api/create",
           std::string(R"({"model":"n","files":{"a.gguf":")") + kDigest +
               R"("},"quantize":"Q4_K_M","template":"{{ messages }}","license":"MIT","system":"s",)"
               R"("parameters":{"temperature":0.5,"stop":["a"]},"messages":[{"role":"user","content":"hi"}]})");
  ASSERT_EQ(exchange->status, 200) << exchange->body;
  EXPECT_EQ(exchange->body,
            std::string("{\"status\":\"parsing GGUF\"}\n{\"status\":\"quantizing F16 model to Q4_K_M\",\"digest\":\"") +
                kDigest + "\",\"total\":9,\"completed\":3}\n{\"status\":\"success\"}\n");
  const CreateRequest& request = store_.created.at(0);
  EXPECT_EQ(request.model, "n");
  EXPECT_EQ(request.files, (std::vector<NamedBlob>{{"a.gguf", kDigest}}));
  EXPECT_EQ(request.quantize, "Q4_K_M");
  EXPECT_EQ(request.template_text, "{{ messages }}");
  EXPECT_EQ(request.licenses, std::vector<std::string>{"MIT"});
  EXPECT_EQ(request.parameters.size(), 2U);
  EXPECT_EQ(request.messages->at(0).content, "hi");
  EXPECT_EQ(post("/api/create", R"({"model":"n","from":"m","stream":false})")->body, R"({"status":"success"})");
  store_.create_steps.clear();
  store_.create_status = not_found("model \"m\" not found");
  EXPECT_EQ(post("/api/create", R"({"model":"n","from":"m"})")->status, 404);
}

TEST_F(OllamaRoutes, RefusesToCreateFromNothing) {
  struct Row {
    std::string members;
    std::string error;
  };
  const std::string digest = kDigest;
  const Row rows[] = {
      {R"("system":"s")", "neither 'from' or 'files' was specified"},
      {R"("files":{"/etc/x":")" + digest + "\"}", "file path \"/etc/x\" must be relative and stay in its folder"},
      {R"("files":{"a/../../x":")" + digest + "\"}", "file path \"a/../../x\" must be relative and stay in its folder"},
      {R"("files":{"a":"sha256:1"})", "invalid digest format \"sha256:1\""},
      {R"("from":"m","parameters":{"temperature":"hot"})", "parameter \"temperature\" must be of type float32"},
      {R"("modelfile":"FROM m")", "field 'modelfile' is not supported: say from, files and the rest as fields"},
  };
  for (const Row& row : rows) {
    const auto exchange = post("/api/create", R"({"model":"n",)" + row.members + "}");
    EXPECT_EQ(exchange->status, 400) << row.members;
    EXPECT_EQ(error_of(*exchange), row.error);
  }
  EXPECT_TRUE(store_.created.empty());
}

TEST(OllamaTimes, AreRfc3339) {
  EXPECT_EQ(rfc3339(0, 0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(1'700'000'000, 120), "2023-11-14T22:13:20.00000012Z");
  EXPECT_EQ(rfc3339(std::chrono::system_clock::time_point(std::chrono::milliseconds(-500))), "1969-12-31T23:59:59.5Z");
}

}  // namespace
}  // namespace mlxr::server
