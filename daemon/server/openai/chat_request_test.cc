#include "daemon/server/openai/chat_request.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/server/keep_alive.h"
#include "daemon/server/openai/completion_request.h"

namespace mlxr::server {
namespace {

// A body with a model and a message, and these further members.
Json chat_body(const std::string& members) {
  const Result<Json> body = parse_json_text(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" +
                                            (members.empty() ? std::string() : "," + members) + "}");
  EXPECT_TRUE(body.ok()) << members << body.status().message();
  return body.ok() ? *body : Json::object();
}

std::string all(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts)
    out += text + "\n";
  return out;
}

struct Accepted {
  std::string members;
  std::function<bool(const ChatRequest& request, const ChatInput& chat)> holds;
};

TEST(ChatRequest, FieldsReachTheCall) {
  const std::vector<Accepted> cases = {
      {"",
       [](const auto& r, const auto& c) {
         return r.call.options.model == "m" && r.call.max_tokens == -1 && r.call.n == 1 && !r.answer.stream &&
                r.call.dialect_defaults.temperature == 1.0F && !r.call.sampling.temperature.has_value() &&
                c.messages.size() == 1 && c.tools.is_null() && c.add_generation_prompt;
       }},
      {R"("max_tokens":5)", [](const auto& r, const auto&) { return r.call.max_tokens == 5; }},
      {R"("max_tokens":5,"max_completion_tokens":7)",
       [](const auto& r, const auto&) { return r.call.max_tokens == 7; }},
      {R"("temperature":0,"top_p":0.5,"top_k":-1,"min_p":0.1,"seed":42)",
       [](const auto& r, const auto&) {
         const SamplingOverrides& s = r.call.sampling;
         return s.temperature == 0.0F && s.top_p == 0.5F && s.top_k == 0 && s.min_p == 0.1F && s.seed == 42U;
       }},
      {R"("seed":-1)", [](const auto& r, const auto&) { return !r.call.sampling.seed.has_value(); }},
      {R"("frequency_penalty":0.5,"presence_penalty":-0.5,"repetition_penalty":1.1)",
       [](const auto& r, const auto&) {
         const SamplingOverrides& s = r.call.sampling;
         return s.frequency_penalty == 0.5F && s.presence_penalty == -0.5F && s.repetition_penalty == 1.1F &&
                r.call.dialect_defaults.penalty_last_n == -1;
       }},
      {R"("repeat_penalty":1.2,"repeat_last_n":64,"typical_p":0.9,"top_n_sigma":1.5,"xtc_probability":0.5,
          "xtc_threshold":0.2,"dry_multiplier":0.8,"dry_sequence_breakers":["\n"],"mirostat":2,"mirostat_tau":4,
          "dynatemp_range":0.1,"samplers":["top_k","temperature"])",
       [](const auto& r, const auto&) {
         const SamplingOverrides& s = r.call.sampling;
         return s.repetition_penalty == 1.2F && s.penalty_last_n == 64 && s.typical_p == 0.9F && s.mirostat == 2 &&
                s.samplers->size() == 2 && s.dry_sequence_breakers->size() == 1 && s.top_n_sigma == 1.5F;
       }},
      {R"("stop":"a")", [](const auto& r, const auto&) { return r.call.stop == std::vector<std::string>{"a"}; }},
      {R"("stop":["a","b"],"stop_token_ids":[7],"ignore_eos":true,"min_tokens":3,"bad_words":["x"])",
       [](const auto& r, const auto&) {
         return r.call.stop.size() == 2 && r.call.stop_tokens == std::vector<TokenId>{7} &&
                r.call.sampling.ignore_eos && r.call.sampling.min_tokens == 3 && r.call.sampling.bad_words.size() == 1;
       }},
      {R"("logit_bias":{"5":-100,"7":1.5})",
       [](const auto& r, const auto&) {
         return r.call.sampling.logit_bias.at(5) == -100.0F && r.call.sampling.logit_bias.at(7) == 1.5F;
       }},
      {R"("logit_bias":[[5,false],["Hello",-1]])",
       [](const auto& r, const auto&) {
         return std::isinf(r.call.sampling.logit_bias.at(5)) && r.call.sampling.logit_bias_texts.at("Hello") == -1.0F;
       }},
      {R"("logprobs":true,"top_logprobs":5)",
       [](const auto& r, const auto&) { return r.call.logprobs && r.call.top_logprobs == 5; }},
      {R"("n":3,"stream":true,"stream_options":{"include_usage":true})",
       [](const auto& r, const auto&) { return r.call.n == 3 && r.answer.stream && r.answer.include_usage; }},
      {R"("stream":true,"return_progress":true,"sse_ping_interval":5)",
       [](const auto& r, const auto&) {
         return r.call.return_progress && r.answer.progress && r.answer.ping_period == std::chrono::seconds(5);
       }},
      {R"("response_format":{"type":"text"})",
       [](const auto& r, const auto&) { return r.call.constraint.kind == Constraint::Kind::kNone; }},
      {R"("response_format":{"type":"json_object"})",
       [](const auto& r, const auto&) { return r.call.constraint.kind == Constraint::Kind::kJsonObject; }},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}})",
       [](const auto& r, const auto&) {
         return r.call.constraint.kind == Constraint::Kind::kJsonSchema &&
                r.call.constraint.source == R"({"type":"object"})";
       }},
      {R"("structured_outputs":{"regex":"a+"})",
       [](const auto& r, const auto&) {
         return r.call.constraint.kind == Constraint::Kind::kRegex && r.call.constraint.source == "a+";
       }},
      {R"("guided_choice":["yes","no"])",
       [](const auto& r, const auto&) {
         return r.call.constraint.kind == Constraint::Kind::kChoices && r.call.constraint.choices.size() == 2;
       }},
      {R"("guided_json":"{\"type\":\"string\"}")",
       [](const auto& r, const auto&) { return r.call.constraint.source == R"({"type":"string"})"; }},
      {R"("grammar":"root ::= \"a\"")",
       [](const auto& r, const auto&) { return r.call.constraint.kind == Constraint::Kind::kGbnf; }},
      {R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
          "tool_choice":"required","parallel_tool_calls":false)",
       [](const auto&, const auto& c) {
         return c.tools[0]["function"]["name"] == "f" && c.tool_choice == ToolChoice::kRequired &&
                !c.parallel_tool_calls;
       }},
      {R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
          "tool_choice":{"type":"function","function":{"name":"g"}})",
       [](const auto&, const auto& c) { return c.tool_choice == ToolChoice::kNamed && c.tool_name == "g"; }},
      {R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
          "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",
          "tools":[{"type":"function","function":{"name":"g"}}]}})",
       [](const auto&, const auto& c) {
         return c.tool_choice == ToolChoice::kRequired && c.tools.size() == 1 && c.tools[0]["function"]["name"] == "g";
       }},
      {R"("reasoning_effort":"none")", [](const auto&, const auto& c) { return c.think == false; }},
      {R"("reasoning_effort":"minimal")",
       [](const auto&, const auto& c) { return !c.think.has_value() && c.reasoning_effort == "low"; }},
      {R"("reasoning":{"effort":"xhigh","max_tokens":100,"exclude":true})",
       [](const auto& r, const auto& c) {
         return c.reasoning_effort == "high" && c.reasoning_budget == 100 && !r.answer.include_reasoning;
       }},
      {R"("think":true,"thinking_token_budget":9)",
       [](const auto&, const auto& c) { return c.think == true && c.reasoning_budget == 9; }},
      {R"("chat_template_kwargs":{"enable_thinking":false,"x":1},"documents":[{"text":"d"}])",
       [](const auto&, const auto& c) {
         return c.think == false && c.template_variables["x"] == 1 && c.template_variables["documents"].size() == 1;
       }},
      {R"("reasoning_format":"none")", [](const auto&, const auto& c) { return !c.parse_output; }},
      {R"("user":"u","prompt_cache_key":"k","cache_salt":"s","priority":-5)",
       [](const auto& r, const auto&) {
         const RequestOrigin& origin = r.call.options.origin;
         return origin.caller_key == "u" && origin.cache_salt == "s" && origin.priority == 5;
       }},
      {R"("prompt_cache_key":"k")", [](const auto& r, const auto&) { return r.call.options.origin.caller_key == "k"; }},
      {R"("keep_alive":"10m","num_ctx":8192)",
       [](const auto& r, const auto&) {
         return r.call.options.keep_alive == std::chrono::minutes(10) && r.call.options.context == 8192;
       }},
      {R"("keep_alive":-1,"options":{"num_ctx":4096})",
       [](const auto& r, const auto&) {
         return r.call.options.keep_alive < std::chrono::milliseconds(0) && r.call.options.context == 4096;
       }},
      {R"("cache_prompt":false,"return_token_ids":true)",
       [](const auto& r, const auto&) { return !r.call.reuse_prefix && r.call.echo && r.answer.return_token_ids; }},
      {R"("metadata":{"a":"b"},"service_tier":"auto","safety_identifier":"x","store":false,"modalities":["text"])",
       [](const auto&, const auto&) { return true; }},
  };
  for (const Accepted& each : cases) {
    RequestNotes notes;
    const ChatRequest request = read_chat_request(chat_body(each.members), notes);
    EXPECT_TRUE(notes.ok()) << each.members << ": " << (notes.ok() ? "" : notes.error->message);
    EXPECT_EQ(all(notes.warnings), "") << each.members;
    EXPECT_TRUE(each.holds(request, std::get<ChatInput>(request.call.input))) << each.members;
  }
}

struct Refused {
  std::string members;
  std::string message;
};

TEST(ChatRequest, WhatCannotBeHonouredIsRefusedByName) {
  const std::vector<Refused> cases = {
      {R"("temperature":"hot")", "field 'temperature' must be a number from 0 to 100; it is the string \"hot\""},
      {R"("n":0)", "field 'n' must be a whole number from 1 to 128; it is the number 0"},
      {R"("top_logprobs":21)", "field 'top_logprobs' must be a whole number from 0 to 20; it is the number 21"},
      {R"("top_logprobs":2)", "field 'top_logprobs' needs logprobs: true"},
      {R"("logit_bias":{"5":"x"})", "field 'logit_bias' has the string \"x\" for \"5\"; a bias is a number"},
      {R"("response_format":{"type":"xml"})",
       "field 'response_format.type' must be one of text, json_object, json_schema; it is the string \"xml\""},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n"}})",
       "field 'response_format.json_schema.schema' is missing"},
      {R"("response_format":{"type":"json_object"},"grammar":"root ::= \"a\"")",
       "field 'grammar' and field 'response_format' both say what the answer must look like"},
      {R"("tool_choice":"required")", "field 'tool_choice' asks for a call, and there are no tools"},
      {R"("tools":[{"type":"function","function":{"name":"f"}}],
          "tool_choice":{"type":"function","function":{"name":"g"}})",
       "field 'tool_choice' names no tool: \"g\""},
      {R"("tools":[{"type":"web_search"}])",
       "field 'tools[0].type' is \"web_search\": this server has no tools of its own, only functions of the caller"},
      {R"("tools":[{"type":"function","function":{}}])", "field 'tools[0].function.name' is missing"},
      {R"("functions":[{"name":"f"}])", "field 'functions' is not supported: say tools"},
      {R"("lora":[{"id":0,"scale":1}])", "field 'lora' is not supported: adapters are not supported"},
      {R"("use_beam_search":true)",
       "field 'use_beam_search' is not supported: there is no beam search; best_of picks among samples"},
      {R"("modalities":["text","audio"])", "field 'modalities' asks for \"audio\": models here write text alone"},
      {R"("keep_alive":"soon")",
       "field 'keep_alive' must be a duration such as \"10m\" or \"1h30m\", or a number of seconds; it is the string "
       "\"soon\""},
      {R"("best_of":3,"n":2,"stream":true)",
       "field 'best_of' needs all choices before it knows the best: it does not go with stream"},
      {R"("continue_final_message":true)",
       "field 'continue_final_message' is true, and the final message is not the assistant's"},
  };
  for (const Refused& each : cases) {
    RequestNotes notes;
    read_chat_request(chat_body(each.members), notes);
    EXPECT_EQ(notes.ok() ? "" : notes.error->message, each.message) << each.members;
  }
}

TEST(ChatRequest, WhatHasNoEffectIsReported) {
  RequestNotes notes;
  read_chat_request(chat_body(R"("id_slot":3,"verbosity":"low","fancy":1,"stop":["",""],"store":true)"), notes);
  EXPECT_TRUE(notes.ok());
  EXPECT_EQ(all(notes.warnings),
            "an empty stop string was ignored\nan empty stop string was ignored\n"
            "field 'store' has no effect: answers of this route are not kept; /v1/responses keeps them\n"
            "field 'verbosity' has no effect: models here have no such control\n"
            "field 'id_slot' has no effect: the server assigns memory itself\n"
            "unknown field 'fancy' was ignored\n");
}

struct MessagesCase {
  std::string messages;
  std::string rendered;  // JSON text of what the template gets, or the error
};

TEST(ChatRequest, MessagesBecomeWhatTemplatesKnow) {
  const std::vector<MessagesCase> cases = {
      {R"([{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},
          {"type":"text","text":"b","cache_control":{}}],"name":"n"}])",
       R"([{"role":"system","content":"d"},{"role":"user","content":"a\nb","name":"n"}])"},
      {R"([{"role":"assistant","content":null,"reasoning":"r","tool_calls":[{"id":"c1","type":"function",
          "function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}}]},{"role":"tool","tool_call_id":"c1",
          "content":"42"}])",
       R"([{"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"id":"c1","type":"function",)"
       R"("function":{"name":"f","arguments":{"z":1,"a":2}}}]},)"
       R"({"role":"tool","content":"42","tool_call_id":"c1","name":"f"}])"},
      {"[]", "field 'messages' has no messages"},
      {"5", "field 'messages' must be an array; it is the number 5"},
      {"[5]", "field 'messages[0]' must be an object; it is the number 5"},
      {R"([{"content":"x"}])", "field 'messages[0].role' is missing"},
      {R"([{"role":"robot","content":"x"}])",
       "field 'messages[0].role' must be one of system, developer, user, assistant, tool; it is the string \"robot\""},
      {R"([{"role":"user"}])", "field 'messages[0].content' is missing"},
      {R"([{"role":"user","content":7}])",
       "field 'messages[0].content' must be a string or an array of parts; it is the number 7"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}])",
       "field 'messages[0].content[0]' is a part of type \"image_url\": models here read text alone"},
      {R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":5}}]}])",
       "field 'messages[0].tool_calls[0].function.arguments' must be JSON text or an object; it is the number 5"},
  };
  for (const MessagesCase& each : cases) {
    const Result<Json> body = parse_json_text(R"({"model":"m","messages":)" + each.messages + "}");
    ASSERT_TRUE(body.ok()) << each.messages;
    RequestNotes notes;
    const ChatRequest request = read_chat_request(*body, notes);
    const std::string got =
        notes.ok() ? json_text(std::get<ChatInput>(request.call.input).messages) : notes.error->message;
    EXPECT_EQ(got, each.rendered);
    EXPECT_EQ(all(notes.warnings), "");
  }
}

TEST(ChatRequest, ArgumentsThatAreNoJsonStayTextWithAWarning) {
  const Result<Json> body = parse_json_text(
      R"({"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":"}}]}]})");
  RequestNotes notes;
  const ChatRequest request = read_chat_request(*body, notes);
  ASSERT_TRUE(notes.ok());
  const Json& messages = std::get<ChatInput>(request.call.input).messages;
  EXPECT_EQ(messages[0]["tool_calls"][0]["function"]["arguments"], "{\"a\":");
  EXPECT_EQ(notes.warnings.size(), 1U);
}

TEST(ChatRequest, APrefixGoesOn) {
  const Result<Json> body = parse_json_text(
      R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","prefix":true}]})");
  RequestNotes notes;
  const ChatRequest request = read_chat_request(*body, notes);
  ASSERT_TRUE(notes.ok());
  const auto& chat = std::get<ChatInput>(request.call.input);
  EXPECT_TRUE(chat.continue_final_message);
  EXPECT_FALSE(chat.add_generation_prompt);
}

struct PromptCase {
  std::string members;
  std::string inputs;  // "text" or [tokens], one after the other; or the error
};

TEST(CompletionRequest, PromptsOfEveryKind) {
  const std::vector<PromptCase> cases = {
      {R"("prompt":"a")", "'a'"},
      {R"("prompt":["a","b"])", "'a''b'"},
      {R"("prompt":[1,2])", "[1,2]"},
      {R"("prompt":[[1,2],[3]])", "[1,2][3]"},
      {R"("prompt":["a",[3]])", "'a'[3]"},
      {R"("prompt":"a","suffix":"z")", "'a'...'z'"},
      {R"("prompt":[])",
       "field 'prompt' must be a string, tokens, or an array of either; it is an array without entries"},
      {R"("prompt":[1,"a"])", "field 'prompt[1]' must be a token id; it is the string \"a\""},
      {R"("prompt":[[1],5])", "field 'prompt[1]' must be a string or an array of tokens; it is the number 5"},
      {R"("max_tokens":1)", "field 'prompt' is missing"},
      {R"("prompt":"a","suffix":"z","echo":true)", "field 'echo' does not go with suffix"},
      {R"("prompt":"a","best_of":1,"n":2)", "field 'best_of' must be at least n"},
      {R"("prompt":"a","logprobs":21)", "field 'logprobs' must be a whole number from 0 to 20; it is the number 21"},
  };
  for (const PromptCase& each : cases) {
    const Result<Json> body = parse_json_text(R"({"model":"m",)" + each.members + "}");
    ASSERT_TRUE(body.ok());
    RequestNotes notes;
    const CompletionRequest request = read_completion_request(*body, notes);
    std::string got = notes.ok() ? "" : notes.error->message;
    for (const GenerateCall& call : request.calls) {
      if (!notes.ok()) break;
      if (const auto* text = std::get_if<TextInput>(&call.input)) {
        got += "'" + text->text + "'" + (text->suffix.has_value() ? "...'" + *text->suffix + "'" : "");
      } else {
        got += json_text(Json(std::get<TokenInput>(call.input).tokens));
      }
    }
    EXPECT_EQ(got, each.inputs) << each.members;
  }
}

TEST(CompletionRequest, ScoringOfAPrompt) {
  const Result<Json> body =
      parse_json_text(R"({"model":"m","prompt":"a","echo":true,"max_tokens":0,"logprobs":1,"best_of":4,"n":2})");
  RequestNotes notes;
  const CompletionRequest request = read_completion_request(*body, notes);
  ASSERT_TRUE(notes.ok()) << notes.error->message;
  const GenerateCall& call = request.calls.at(0);
  EXPECT_TRUE(request.echo && call.echo && call.logprobs && call.prompt_logprobs);
  EXPECT_EQ(call.max_tokens, 0);
  EXPECT_EQ(call.top_logprobs, 1);
  EXPECT_EQ(call.best_of, 4);
  EXPECT_EQ(call.n, 2);
}

TEST(CompletionRequest, SixteenTokensUnlessToldOtherwise) {
  const Result<Json> body = parse_json_text(R"({"model":"m","prompt":"a"})");
  RequestNotes notes;
  EXPECT_EQ(read_completion_request(*body, notes).calls.at(0).max_tokens, 16);
}

TEST(Durations, AsGoWritesThem) {
  const std::vector<std::pair<std::string, std::int64_t>> good = {
      {"10m", 600'000}, {"1h30m", 5'400'000}, {"-1m", -60'000}, {"1.5h", 5'400'000},
      {"0", 0},         {"300ms", 300},       {"1us", 1},       {"24h", 86'400'000}};
  for (const auto& [text, ms] : good) {
    const Result<std::chrono::milliseconds> parsed = parse_duration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->count(), ms) << text;
  }
  for (const char* text : {"", "-", "m", "5", "5 m", "1h-5m", "inf", "nan", "1e3s", "99999999999h", "1x", "0x5s"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mlxr::server
