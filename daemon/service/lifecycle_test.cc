// Loading, unloading, cancelling, several models, and questions that need no weights.

#include <atomic>
#include <thread>

#include "tests/support/service_testing.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::Answer;
using test::chat_call;
using test::collect_answer;
using test::mentions;
using test::text_call;

std::vector<std::string> names(const ModelService& service) {
  std::vector<std::string> names;
  for (const RunningModel& model : service.running())
    names.push_back(model.name);
  return names;
}

TEST(ServiceLifecycle, LoadsOnceForAllAndShowsIt) {
  std::atomic<int> loads{0};
  ServiceDependencies dependencies = test::small_service();
  dependencies.observer.loaded = [&loads](const std::string&, double, const Status&) { ++loads; };
  const auto service = make_model_service(std::move(dependencies));
  std::vector<std::shared_ptr<AnswerStream>> streams;
  for (int i = 0; i < 64; ++i)
    streams.push_back(service->generate(text_call("llama", "a b c", 2)));
  streams.push_back(service->generate(chat_call("sprout", "Hello", 2)));
  for (const auto& stream : streams) {
    const Answer answer = collect_answer(*stream);
    EXPECT_TRUE(answer.done) << answer.failed->status.message();
    if (!answer.load.empty()) {
      EXPECT_EQ(answer.load.back(), 1.0);
    }
  }
  EXPECT_EQ(loads, 2);
  EXPECT_EQ(names(*service).size(), 2U);
  EXPECT_TRUE(service->requests().empty());
  const Answer again = collect_answer(*service->load({.model = "sprout"}));
  EXPECT_TRUE(again.done);
  EXPECT_TRUE(again.load.empty());
}

TEST(ServiceLifecycle, KeepsAliveAsAsked) {
  const auto service = make_model_service(test::small_service());
  GenerateCall call = text_call("llama", "a b", 1);
  call.options.keep_alive = std::chrono::milliseconds(0);
  EXPECT_TRUE(collect_answer(*service->generate(call)).done);
  while (!names(*service).empty())
    std::this_thread::yield();
  call.options.keep_alive = std::chrono::milliseconds(-1);
  EXPECT_TRUE(collect_answer(*service->generate(call)).done);
  ASSERT_EQ(service->running().size(), 1U);
  EXPECT_FALSE(service->running()[0].expires);
  EXPECT_EQ(service->running()[0].digest, "sha256:llama");
  call.options.keep_alive = std::chrono::minutes(10);
  EXPECT_TRUE(collect_answer(*service->generate(call)).done);
  ASSERT_TRUE(service->running()[0].expires);
  EXPECT_GT(*service->running()[0].expires, std::chrono::system_clock::now() + std::chrono::minutes(9));
  EXPECT_TRUE(service->pin("llama", true).ok());
  EXPECT_TRUE(service->running()[0].pinned);
  EXPECT_EQ(service->pin("sprout", true).code(), StatusCode::kNotFound);
  EXPECT_TRUE(service->unload("llama").ok());
  while (!names(*service).empty())
    std::this_thread::yield();
  EXPECT_EQ(service->unload("llama").code(), StatusCode::kNotFound);
}

TEST(ServiceLifecycle, FinishesWhatItAnswersWhenItUnloads) {
  const auto service = make_model_service(test::small_service());
  GenerateCall call = text_call("sprout", "Once", 40);
  call.sampling.ignore_eos = true;
  const auto stream = service->generate(call);
  Answer answer;
  while (answer.choices.empty()) {
    std::optional<AnswerEvent> event = stream->next();
    ASSERT_TRUE(event);
    test::fold(answer, *event);
  }
  EXPECT_TRUE(service->unload("sprout").ok());
  while (std::optional<AnswerEvent> event = stream->next())
    test::fold(answer, *event);
  ASSERT_TRUE(answer.done);
  EXPECT_EQ(answer.done->generated_tokens, 40);
  while (!names(*service).empty())
    std::this_thread::yield();
}

TEST(ServiceLifecycle, CancelsByIdForTheCallerAlone) {
  const auto service = make_model_service(test::small_service());
  GenerateCall call = text_call("sprout", "Once", 400);
  call.sampling.ignore_eos = true;
  call.options.request_id = "mine";
  call.options.origin.caller_key = "me";
  const auto stream = service->generate(call);
  EXPECT_EQ(service->cancel("mine", "you").code(), StatusCode::kNotFound);
  const Answer twice = collect_answer(*service->generate(call));
  EXPECT_EQ(twice.failed->status.code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(service->requests().size(), 1U);
  EXPECT_EQ(service->requests()[0].id, "mine");
  EXPECT_EQ(service->requests()[0].caller_key, "me");
  Answer answer;
  while (answer.choices.empty()) {
    std::optional<AnswerEvent> event = stream->next();
    ASSERT_TRUE(event);
    test::fold(answer, *event);
  }
  EXPECT_EQ(service->requests()[0].state, "generating");
  EXPECT_TRUE(service->cancel("mine", "me").ok());
  while (std::optional<AnswerEvent> event = stream->next())
    test::fold(answer, *event);
  ASSERT_TRUE(answer.done);
  EXPECT_EQ(answer.only().finish->reason, FinishReason::kCancelled);
  EXPECT_LT(answer.done->generated_tokens, 400);
  EXPECT_EQ(service->cancel("mine", "").code(), StatusCode::kNotFound);
}

TEST(ServiceLifecycle, CancelsBeforeAndInsideOfThePrompt) {
  ServiceDependencies dependencies = test::small_service();
  dependencies.scheduler.max_step_tokens = 32;  // many steps
  dependencies.scheduler.max_running = 8;
  dependencies.scheduler.min_prefill_tokens = 16;
  const auto service = make_model_service(std::move(dependencies));
  const auto waiting = service->generate(text_call("sprout", "Once", 400));
  waiting->cancel();
  const Answer cancelled = collect_answer(*waiting);
  if (cancelled.failed) {
    EXPECT_EQ(cancelled.failed->status.code(), StatusCode::kCancelled);
  }
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += " word";
  GenerateCall call = text_call("sprout", text, 1);
  call.return_progress = true;
  const auto stream = service->generate(call);
  Answer answer;
  while (answer.progress.size() < 2) {
    std::optional<AnswerEvent> event = stream->next();
    ASSERT_TRUE(event) << answer.failed->status.message();
    test::fold(answer, *event);
  }
  stream->cancel();
  while (std::optional<AnswerEvent> event = stream->next())
    test::fold(answer, *event);
  ASSERT_TRUE(answer.done);
  EXPECT_FALSE(answer.prefill);
}

TEST(ServiceLifecycle, RefusesModelsThatDoNotFit) {
  ServiceDependencies dependencies = test::small_service();
  dependencies.pool.memory_budget = 1 << 20;
  const auto service = make_model_service(std::move(dependencies));
  const Answer answer = collect_answer(*service->generate(chat_call("sprout", "Hello", 2)));
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->kind, AnswerFailed::Kind::kMemoryFull);
  const auto plan = service->plan({.model = "sprout"});
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->fits);
  EXPECT_GT(plan->plan.total(), plan->budget_bytes);
  EXPECT_EQ(plan->context, 512);
}

TEST(ServiceLifecycle, RefusesMoreThanItTakes) {
  ServiceDependencies dependencies = test::small_service();
  dependencies.max_open_requests = 1;
  const auto service = make_model_service(std::move(dependencies));
  GenerateCall call = text_call("sprout", "Once", 200);
  call.sampling.ignore_eos = true;
  const auto first = service->generate(call);
  const Answer second = collect_answer(*service->generate(call));
  EXPECT_EQ(second.failed->kind, AnswerFailed::Kind::kQueueFull);
  first->cancel();
  collect_answer(*first);
}

TEST(ServiceLifecycle, EndsWhatIsOpenWhenItGoes) {
  std::shared_ptr<AnswerStream> running;
  std::shared_ptr<AnswerStream> loading;
  {
    const auto service = make_model_service(test::small_service());
    GenerateCall call = text_call("sprout", "Once", 400);
    call.sampling.ignore_eos = true;
    running = service->generate(call);
    Answer answer;
    while (answer.choices.empty()) {
      std::optional<AnswerEvent> event = running->next();
      ASSERT_TRUE(event);
      test::fold(answer, *event);
    }
    loading = service->generate(text_call("llama", "a", 4));
  }
  Answer answer = collect_answer(*running);
  ASSERT_TRUE(answer.failed);
  EXPECT_EQ(answer.failed->status.code(), StatusCode::kCancelled);
  answer = collect_answer(*loading);
  EXPECT_TRUE(answer.done || answer.failed->status.code() == StatusCode::kCancelled);
}

TEST(ServiceLifecycle, TellsObserversWhatHappens) {
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto note = [&](const std::string& what) {
    const std::lock_guard lock(mutex);
    if (seen.empty() || seen.back() != what) seen.push_back(what);
  };
  RequestOutcome outcome;
  ServiceDependencies dependencies = test::small_service();
  dependencies.observer = {
      .received = [&](const RequestFacts&) { note("received"); },
      .model_ready = [&](const RequestFacts&, double) { note("ready"); },
      .queued = [&](const RequestFacts&, std::int64_t) { note("queued"); },
      .admitted = [&](const RequestFacts&, std::int64_t) { note("admitted"); },
      .prefill = [&](const RequestFacts&, const PrefillProgress&) { note("prefill"); },
      .first_token = [&](const RequestFacts&) { note("first"); },
      .tokens = [&](const RequestFacts&, int, std::int64_t) { note("tokens"); },
      .finished =
          [&](const RequestFacts& facts, const RequestOutcome& told) {
            EXPECT_EQ(facts.dialect, "test");
            EXPECT_EQ(facts.model, "sprout");
            outcome = told;
            note("finished");
          },
  };
  const auto service = make_model_service(std::move(dependencies));
  GenerateCall call = chat_call("sprout", "Hello", 3);
  call.options.dialect = "test";
  call.sampling.ignore_eos = true;
  EXPECT_TRUE(collect_answer(*service->generate(call)).done);
  EXPECT_EQ(seen, (std::vector<std::string>{"received", "ready", "queued", "admitted", "prefill", "first", "tokens",
                                            "finished"}));
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.generated_tokens, 3);
  EXPECT_GE(outcome.first_token_ms, 0.0);
  EXPECT_EQ(outcome.finish_reasons, std::vector<FinishReason>{FinishReason::kMaxTokens});
}

TEST(ServiceQueries, AnswerWithoutLoading) {
  const auto service = make_model_service(test::small_service());
  const auto abilities = service->abilities("sprout");
  ASSERT_TRUE(abilities.ok());
  EXPECT_TRUE(abilities->chat);
  EXPECT_TRUE(abilities->tools);
  EXPECT_FALSE(abilities->thinking);
  EXPECT_TRUE(service->abilities("thinker")->thinking);
  EXPECT_FALSE(service->abilities("llama")->chat);
  const auto tokens = service->tokenize("sprout", "Hello world", {});
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(*service->detokenize("sprout", *tokens), "Hello world");
  const auto pieces = service->pieces("sprout", *tokens);
  std::string joined;
  for (const std::string& piece : *pieces)
    joined += piece;
  EXPECT_EQ(joined, "Hello world");
  EXPECT_EQ(service->pieces("sprout", {1 << 30}).status().code(), StatusCode::kInvalidArgument);
  GenerateCall call = chat_call("sprout", "Hello");
  const auto rendered = service->render("sprout", std::get<ChatInput>(call.input));
  ASSERT_TRUE(rendered.ok());
  EXPECT_TRUE(rendered->ends_with("<|im_start|>assistant\n"));
  const auto count = service->count_tokens(call);
  ASSERT_TRUE(count.ok());
  EXPECT_TRUE(names(*service).empty());
  EXPECT_EQ(collect_answer(*service->generate(call)).done->prompt_tokens, *count);
  const auto plan = service->plan({.model = "llama", .context = 128});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->fits);
  EXPECT_EQ(plan->context, 128);
  EXPECT_GT(plan->in_use_bytes, 0U);
  const auto reports = service->probe(std::chrono::seconds(20));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_TRUE(reports[0].ok) << reports[0].message;
  EXPECT_GE(reports[0].last_step_age_ms, 0.0);
}

TEST(ServiceEmbeddings, RerankersAreAskedYesOrNo) {
  const test::TempDir folder;
  std::filesystem::create_symlink(test::sprout_path(), folder.path("tiny-reranker.gguf"));
  ServiceDependencies dependencies = test::small_service();
  dependencies.resolve = [&folder](const std::string& name) -> Result<ResolvedModel> {
    return ResolvedModel{.name = name, .path = folder.path("tiny-reranker.gguf")};
  };
  const auto service = make_model_service(std::move(dependencies));
  RerankCall call;
  call.options.model = "reranker";
  call.query = "what is a cat?";
  call.documents = {"A cat is an animal.", "Rain falls.", "Hm."};
  const Answer answer = collect_answer(*service->rerank(call));
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_TRUE(answer.done->warnings.empty());
  ASSERT_EQ(answer.scores.size(), 3U);
  for (const auto& [document, score] : answer.scores) {
    EXPECT_GE(score, 0.0) << document;
    EXPECT_LE(score, 1.0) << document;
  }
  EXPECT_EQ(answer.done->prompt_tokens, answer.started->prompt_tokens);
}

TEST(ServiceEmbeddings, AreOfTheInputsInOrder) {
  const auto service = make_model_service(test::small_service());
  EmbedCall call;
  call.options.model = "sprout";
  call.inputs = {std::string("a cat"), std::string("a dog"), std::vector<TokenId>{5, 6, 7}};
  Answer answer = collect_answer(*service->embed(call));
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  ASSERT_EQ(answer.embeddings.size(), 3U);
  EXPECT_EQ(answer.embeddings[2].num_tokens, 3);
  EXPECT_EQ(answer.embeddings[0].values.size(), 512U);
  call.dimensions = 8;
  const Answer cut = collect_answer(*service->embed(call));
  double squares = 0.0;
  for (const float value : cut.embeddings.at(0).values)
    squares += static_cast<double>(value) * static_cast<double>(value);
  EXPECT_EQ(cut.embeddings.at(0).values.size(), 8U);
  EXPECT_NEAR(squares, 1.0, 1e-5);
  call.dimensions = 100000;
  EXPECT_EQ(collect_answer(*service->embed(call)).failed->status.code(), StatusCode::kInvalidArgument);
  call.dimensions = 0;
  std::string text;
  for (int i = 0; i < 600; ++i)
    text += " word";
  call.inputs = {text};
  EXPECT_EQ(collect_answer(*service->embed(call)).failed->kind, AnswerFailed::Kind::kContextExceeded);
  call.overflow = Overflow::kTruncate;
  answer = collect_answer(*service->embed(call));
  ASSERT_TRUE(answer.done);
  EXPECT_TRUE(mentions(answer.done->warnings, "left out"));
  RerankCall rerank;
  rerank.options.model = "sprout";
  rerank.query = "a cat";
  rerank.documents = {"a dog in the house", "a cat"};
  answer = collect_answer(*service->rerank(rerank));
  ASSERT_TRUE(answer.done) << answer.failed->status.message();
  EXPECT_TRUE(mentions(answer.done->warnings, "no reranker"));
  EXPECT_NEAR(answer.scores[1], 1.0, 1e-5);
  EXPECT_LT(answer.scores[0], answer.scores[1]);
}

}  // namespace
}  // namespace mlxr
