// Text, chats, schemas, tools and reasoning through the service.

#include <algorithm>

#include "tests/support/service_testing.h"

namespace mlxr {
namespace {

using test::Answer;
using test::chat_call;
using test::collect_answer;
using test::mentions;
using test::text_call;

class Generate : public testing::Test {
 protected:
  static void SetUpTestSuite() { service = make_model_service(test::small_service()); }
  static void TearDownTestSuite() { service.reset(); }

  static Answer run(GenerateCall call) { return collect_answer(*service->generate(std::move(call))); }
  static ChatInput& chat(GenerateCall& call) { return std::get<ChatInput>(call.input); }

  static std::unique_ptr<ModelService> service;
};
std::unique_ptr<ModelService> Generate::service;

nlohmann::ordered_json weather_tools() {
  return nlohmann::ordered_json::parse(R"([{"type": "function", "function": {"name": "get_weather", "description": "w",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12},
    "days": {"type": "integer", "minimum": 1, "maximum": 5}}, "required": ["city", "days"],
    "additionalProperties": false}}}])");
}

TEST_F(Generate, AnswersAChat) {
  Answer answer = run(chat_call("sprout", "Tell me a story.", 16));
  ASSERT_TRUE(answer.done);
  EXPECT_EQ(answer.started->model, "sprout");
  EXPECT_GT(answer.started->prompt_tokens, 5);
  EXPECT_EQ(answer.done->prompt_tokens, answer.started->prompt_tokens);
  EXPECT_FALSE(answer.only().text.empty());
  EXPECT_EQ(answer.done->generated_tokens, answer.only().finish->num_tokens);
  EXPECT_EQ(static_cast<std::int64_t>(answer.only().tokens.size()), answer.done->generated_tokens);
  EXPECT_EQ(answer.only().text.find("<|"), std::string::npos);
  EXPECT_GT(answer.done->timings.total_ms, 0.0);
  EXPECT_TRUE(answer.done->warnings.empty());
}

TEST_F(Generate, GivesTheSameAnswerAgainFromTheCache) {
  Answer first = run(chat_call("sprout", "Once upon a time there was a little fox who lived in the wood.", 8));
  Answer second = run(chat_call("sprout", "Once upon a time there was a little fox who lived in the wood.", 8));
  EXPECT_EQ(first.only().text, second.only().text);
}

TEST_F(Generate, StopsAtStringsAndTokens) {
  const Answer whole = run(text_call("sprout", "Once upon a time", 20));
  const std::string text = whole.choices.at(0).text;
  ASSERT_GT(text.size(), 12U);
  GenerateCall call = text_call("sprout", "Once upon a time", 20);
  call.stop = {text.substr(6, 4)};
  Answer stopped = run(call);
  EXPECT_EQ(stopped.only().finish->reason, FinishReason::kStopString);
  EXPECT_EQ(stopped.only().finish->stop_string, text.substr(6, 4));
  EXPECT_EQ(stopped.only().text, text.substr(0, text.find(text.substr(6, 4))));
  GenerateCall by_token = text_call("sprout", "Once upon a time", 20);
  by_token.stop_tokens = {whole.choices.at(0).tokens[3]};
  Answer ended = run(by_token);
  EXPECT_EQ(ended.only().finish->stop_token, whole.choices.at(0).tokens[3]);
  EXPECT_LE(ended.only().finish->num_tokens, 3);
}

TEST_F(Generate, ScoresPromptsAndEchoesThem) {
  GenerateCall call = text_call("sprout", "The cat sat", 0);
  call.echo = true;
  call.prompt_logprobs = true;
  call.logprobs = true;
  Answer answer = run(call);
  ASSERT_TRUE(answer.done);
  EXPECT_EQ(answer.started->prompt_text, "The cat sat");
  EXPECT_EQ(answer.prefill->logprobs.size() + 1, answer.started->prompt_ids.size());
  EXPECT_EQ(answer.done->generated_tokens, 0);
  EXPECT_EQ(answer.only().finish->reason, FinishReason::kMaxTokens);
}

TEST_F(Generate, GivesLogprobsOfEveryToken) {
  GenerateCall call = chat_call("sprout", "Hello", 5);
  call.logprobs = true;
  call.top_logprobs = 2;
  Answer answer = run(call);
  ASSERT_EQ(answer.only().logprobs.size(), answer.only().tokens.size());
  for (const AnswerLogprob& logprob : answer.only().logprobs) {
    EXPECT_EQ(logprob.top.size(), 2U);
    EXPECT_LE(logprob.logprob, 0.0F);
  }
}

TEST_F(Generate, FollowsASchema) {
  GenerateCall call = chat_call("sprout", "Give me JSON.", 60);
  call.constraint = {.kind = Constraint::Kind::kJsonSchema,
                     .source = R"({"type":"object","properties":{"n":{"type":"integer","maximum":9,"minimum":0}},)"
                               R"("required":["n"],"additionalProperties":false})"};
  Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  const auto json = nlohmann::json::parse(answer.only().text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << answer.only().text;
  EXPECT_TRUE(json["n"].is_number_integer());
  call.constraint.source = "{";
  EXPECT_EQ(run(call).failed->status.code(), StatusCode::kInvalidArgument);
}

TEST_F(Generate, ForcesToolCallsWhoseArgumentsFollowTheSchema) {
  for (const ToolChoice choice : {ToolChoice::kRequired, ToolChoice::kNamed}) {
    GenerateCall call = chat_call("sprout", "What is the weather in Paris?", 80);
    chat(call).tools = weather_tools();
    chat(call).tool_choice = choice;
    chat(call).tool_name = "get_weather";
    chat(call).parallel_tool_calls = false;
    Answer answer = run(call);
    ASSERT_TRUE(answer.done) << answer.failed->status.message();
    ASSERT_EQ(answer.only().calls.size(), 1U) << answer.only().text;
    EXPECT_EQ(answer.only().text, "");
    EXPECT_EQ(answer.only().calls[0].name, "get_weather");
    EXPECT_TRUE(answer.only().calls[0].id.starts_with("call_"));
    const auto arguments = nlohmann::json::parse(answer.only().calls[0].arguments, nullptr, false);
    ASSERT_TRUE(arguments.is_object()) << answer.only().calls[0].arguments;
    EXPECT_TRUE(arguments["days"].is_number_integer());
    EXPECT_TRUE(answer.only().finish->has_tool_calls);
    EXPECT_EQ(answer.only().finish->reason, FinishReason::kEndOfText);
  }
}

TEST_F(Generate, LeavesToolCallsToTheModelInAuto) {
  GenerateCall call = chat_call("sprout", "What is the weather in Paris?", 60);
  chat(call).tools = weather_tools();
  Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  for (const auto& made : answer.only().calls)
    EXPECT_TRUE(nlohmann::json::accept(made.arguments)) << made.arguments;
  chat(call).tool_choice = ToolChoice::kNone;
  answer = run(call);
  EXPECT_TRUE(answer.only().calls.empty());
}

TEST_F(Generate, KeepsReasoningApart) {
  GenerateCall call = chat_call("thinker", "Why?", 24);
  chat(call).reasoning_budget = 4;
  Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_FALSE(answer.only().reasoning.empty());
  EXPECT_EQ((answer.only().reasoning + answer.only().text).find("think>"), std::string::npos);
  EXPECT_GT(answer.done->reasoning_tokens, 0);
  EXPECT_LE(answer.done->reasoning_tokens, 4 + 8);  // what spells the end counts too
  EXPECT_FALSE(answer.only().text.empty());
  // Without a limit it reasons on.
  chat(call).reasoning_budget = -1;
  answer = run(call);
  EXPECT_GE(answer.only().reasoning.size(), 4U);
  // What it opened is closed where nobody wants it.
  chat(call).think = false;
  answer = run(call);
  EXPECT_EQ(answer.only().reasoning, "");
  chat(call).think.reset();
  chat(call).reasoning_budget = 3;
  call.constraint = {.kind = Constraint::Kind::kRegex, .source = "(yes|no)"};
  answer = run(call);
  EXPECT_TRUE(answer.only().text == "yes" || answer.only().text == "no") << answer.only().text;
}

TEST_F(Generate, StopStringsAreLookedForInTheAnswerOnly) {
  GenerateCall call = chat_call("thinker", "Why?", 24);
  chat(call).reasoning_budget = 6;
  const Answer whole = run(call);
  const auto& choice = whole.choices.at(0);
  ASSERT_GT(choice.reasoning.size(), 3U);
  ASSERT_GT(choice.text.size(), 6U);
  call.stop = {choice.reasoning.substr(1, 2)};
  Answer answer = run(call);
  EXPECT_EQ(answer.only().reasoning, choice.reasoning);
  call.stop = {choice.text.substr(3, 3)};
  call.n = 2;
  answer = run(call);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(answer.choices[i].finish->reason, FinishReason::kStopString);
    EXPECT_EQ(answer.choices[i].text, choice.text.substr(0, choice.text.find(call.stop[0])));
  }
}

TEST_F(Generate, RefusesOrShortensWhatIsTooLong) {
  GenerateCall call = chat_call("sprout", "", 4);
  chat(call).messages.clear();
  chat(call).messages.push_back({{"role", "system"}, {"content", "Be kind."}});
  for (int i = 0; i < 40; ++i) {
    chat(call).messages.push_back({{"role", "user"}, {"content", "Tell me about number " + std::to_string(i)}});
    chat(call).messages.push_back({{"role", "assistant"}, {"content", "It is a fine number, I like it."}});
  }
  chat(call).messages.push_back({{"role", "user"}, {"content", "And the last?"}});
  Answer answer = run(call);
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->kind, AnswerFailed::Kind::kContextExceeded);
  EXPECT_EQ(answer.failed->status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(answer.failed->context, 512);
  EXPECT_GT(answer.failed->prompt_tokens, 512);
  call.overflow = Overflow::kTruncate;
  call.echo = true;
  answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_TRUE(mentions(answer.done->warnings, "left out"));
  EXPECT_NE(answer.started->prompt_text.find("Be kind."), std::string::npos);
  EXPECT_NE(answer.started->prompt_text.find("And the last?"), std::string::npos);
  EXPECT_EQ(answer.started->prompt_text.find("number 0"), std::string::npos);
  EXPECT_NE(answer.started->prompt_text.find("number 39"), std::string::npos);

  std::string text;
  for (int i = 0; i < 600; ++i)
    text += " word";
  GenerateCall raw = text_call("sprout", text, 2);
  EXPECT_EQ(run(raw).failed->kind, AnswerFailed::Kind::kContextExceeded);
  raw.overflow = Overflow::kTruncate;
  answer = run(raw);
  ASSERT_TRUE(answer.done);
  EXPECT_LT(answer.done->prompt_tokens, 512);
  EXPECT_TRUE(mentions(answer.done->warnings, "left out"));
}

struct Refusal {
  const char* name;
  std::function<void(GenerateCall&)> change;
  StatusCode code;
  const char* words;
};

TEST_F(Generate, RefusesWhatItCannotDo) {
  const Refusal refusals[] = {
      {"NoModel", [](GenerateCall& c) { c.options.model = "none"; }, StatusCode::kNotFound, "none"},
      {"EmptyModel", [](GenerateCall& c) { c.options.model = ""; }, StatusCode::kInvalidArgument, "model"},
      {"Think", [](GenerateCall& c) { chat(c).think = true; }, StatusCode::kUnsupported, "thinking"},
      {"ToolsOfATemplateWithout",
       [](GenerateCall& c) {
         c.options.model = "thinker";
         chat(c).tools = weather_tools();
       },
       StatusCode::kUnsupported, "tools"},
      {"NoTemplate", [](GenerateCall& c) { c.options.model = "llama"; }, StatusCode::kUnsupported, "template"},
      {"NamedToolThatIsNotThere",
       [](GenerateCall& c) {
         chat(c).tools = weather_tools();
         chat(c).tool_choice = ToolChoice::kNamed;
         chat(c).tool_name = "x";
       },
       StatusCode::kInvalidArgument, "tool_choice"},
      {"RequiredWithoutTools", [](GenerateCall& c) { chat(c).tool_choice = ToolChoice::kRequired; },
       StatusCode::kInvalidArgument, "tool_choice"},
      {"ToolWithoutName",
       [](GenerateCall& c) {
         chat(c).tools = {{{"type", "function"}}};
       },
       StatusCode::kInvalidArgument, "tools[0]"},
      {"Suffix", [](GenerateCall& c) { c.input = TextInput{.text = "a", .suffix = "b"}; }, StatusCode::kUnsupported,
       "suffix"},
      {"Temperature", [](GenerateCall& c) { c.sampling.temperature = -1.0F; }, StatusCode::kInvalidArgument,
       "temperature"},
      {"MaxTokens", [](GenerateCall& c) { c.max_tokens = -7; }, StatusCode::kInvalidArgument, "max_tokens"},
      {"N", [](GenerateCall& c) { c.n = 0; }, StatusCode::kInvalidArgument, "n is 0"},
      {"Template", [](GenerateCall& c) { chat(c).chat_template = "{% raise %}"; }, StatusCode::kInvalidArgument, ""},
      {"Messages",
       [](GenerateCall& c) {
         chat(c).messages = {{{"content", "x"}}};
       },
       StatusCode::kInvalidArgument, "message"},
      {"TokenOutside", [](GenerateCall& c) { c.input = TokenInput{.tokens = {1 << 30}}; }, StatusCode::kInvalidArgument,
       "vocabulary"},
      {"EmptyPrompt", [](GenerateCall& c) { c.input = TokenInput{}; }, StatusCode::kInvalidArgument, "empty"},
  };
  for (const Refusal& refusal : refusals) {
    GenerateCall call = chat_call("sprout", "Hello", 2);
    refusal.change(call);
    const Answer answer = run(call);
    if (std::string(refusal.name) == "Template" && answer.done) {
      EXPECT_TRUE(mentions(answer.done->warnings, "template"));
      continue;
    }
    ASSERT_TRUE(answer.failed) << refusal.name;
    EXPECT_EQ(answer.failed->status.code(), refusal.code) << refusal.name << answer.failed->status.message();
    EXPECT_NE(answer.failed->status.message().find(refusal.words), std::string::npos)
        << refusal.name << answer.failed->status.message();
  }
}

TEST_F(Generate, WarnsOfWhatIsNotHonoured) {
  ASSERT_TRUE(run(chat_call("sprout", "Hello", 1)).done);  // loads it with the context of the settings
  GenerateCall call = chat_call("sprout", "Hello", 2);
  call.options.context = 1024;
  chat(call).reasoning_effort = "high";
  chat(call).template_variables = {{"fancy", true}};
  const Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_TRUE(mentions(answer.done->warnings, "context"));
  EXPECT_TRUE(mentions(answer.done->warnings, "reasoning_effort"));
  EXPECT_TRUE(mentions(answer.done->warnings, "fancy"));
  EXPECT_TRUE(mentions(answer.started->warnings, "context"));
}

TEST_F(Generate, TakesFromTheModelfileWhatTheRequestLeavesOpen) {
  GenerateCall call = chat_call("modelfile", "Hello", -1);
  call.sampling.temperature.reset();
  call.dialect_defaults.temperature = 1.0F;
  call.echo = true;
  Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_NE(answer.started->prompt_text.find("You are terse."), std::string::npos);
  EXPECT_LE(answer.only().finish->num_tokens, 3);
  EXPECT_EQ(run(call).only().text, answer.only().text);  // greedy
}

TEST_F(Generate, ContinuesTheLastMessage) {
  GenerateCall call = chat_call("sprout", "Tell me of the fox.", 4);
  chat(call).messages.push_back({{"role", "assistant"}, {"content", "The fox was "}});
  chat(call).continue_final_message = true;
  call.render_only = true;
  const Answer answer = run(call);
  ASSERT_TRUE(answer.done);
  EXPECT_TRUE(answer.started->prompt_text.ends_with("The fox was")) << answer.started->prompt_text;
}

TEST_F(Generate, ShowsProgressOfThePrompt) {
  GenerateCall call = text_call("sprout", "A little bird sang in the tall green tree until evening came.", 1);
  call.return_progress = true;
  call.reuse_prefix = false;
  const Answer answer = run(call);
  ASSERT_GE(answer.progress.size(), 2U);
  EXPECT_EQ(answer.progress.front().done_tokens, 0);
  EXPECT_EQ(answer.progress.back().done_tokens, answer.done->prompt_tokens);
}

TEST(SamplingMerge, TheRequestCountsBeforeTheModelfileBeforeTheAuthorsBeforeTheDialect) {
  SamplingOverrides request;
  request.temperature = 0.1F;
  request.logit_bias[3] = 1.0F;
  SamplingOverrides modelfile;
  modelfile.temperature = 0.2F;
  modelfile.top_k = 2;
  modelfile.logit_bias = {{3, 5.0F}, {4, 2.0F}};
  SamplingOverrides dialect;
  dialect.temperature = 0.4F;
  dialect.top_k = 4;
  dialect.top_p = 0.4F;
  request.fill_from(modelfile);
  request.fill_from(dialect);
  EXPECT_EQ(request.temperature, 0.1F);
  EXPECT_EQ(request.top_k, 2);
  EXPECT_EQ(request.top_p, 0.4F);
  EXPECT_FALSE(request.min_p);
  EXPECT_EQ(request.logit_bias, (std::map<std::int32_t, float>{{3, 1.0F}, {4, 2.0F}}));
}

TEST_F(Generate, GoesOnFromEarlierTokens) {
  GenerateCall call = chat_call("sprout", "Hello", 4);
  call.render_only = true;
  const Answer first = run(call);
  ASSERT_TRUE(first.done);
  chat(call).earlier_tokens = first.started->prompt_ids;
  const Answer second = run(call);
  ASSERT_TRUE(second.done) << second.failed->status.message();
  const std::vector<TokenId>& ids = second.started->prompt_ids;
  const std::vector<TokenId>& earlier = first.started->prompt_ids;
  ASSERT_GT(ids.size(), earlier.size());
  EXPECT_TRUE(std::equal(earlier.begin(), earlier.end(), ids.begin()));
  EXPECT_EQ(second.started->prompt_text, first.started->prompt_text + first.started->prompt_text);
  chat(call).earlier_tokens = {1 << 30};
  EXPECT_TRUE(run(call).failed);
}

TEST_F(Generate, TakesTheTextWhereThereIsNoTemplate) {
  GenerateCall call = chat_call("llama", "the fox", 4);
  call.render_only = true;
  EXPECT_TRUE(run(call).failed);
  chat(call).text_without_template = true;
  const Answer answer = run(call);
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_EQ(answer.started->prompt_text, "the fox");
}

}  // namespace
}  // namespace mlxr
