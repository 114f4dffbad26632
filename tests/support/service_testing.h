#pragma once
// A service over the starter model and small ones, and answers in one piece, as tests want them.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/service/make_model_service.h"
#include "tests/support/paths.h"

namespace mlxr::test {

inline std::string sprout_path() {
  return std::string(MLXR_SOURCE_DIR) + "/models/sprout/sprout-28m-q5_k_m.gguf";
}

// "sprout", its variants, and "llama", "llama-bias": random weights with a tokenizer and no chat template.
inline Result<ResolvedModel> resolve_for_tests(const std::string& name) {
  ResolvedModel model{.name = name, .path = sprout_path(), .digest = "sha256:" + name};
  if (name == "sprout") return model;
  if (name == "llama" || name == "llama-bias") {
    model.path = fixture("hf/" + name);
    return model;
  }
  if (name == "thinker") {
    // Opens its reasoning in the prompt.
    model.chat_template =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}{# </think> #}";
    return model;
  }
  if (name == "modelfile") {
    model.system = "You are terse.";
    model.sampling.temperature = 0.0F;
    model.stop = {"zzz"};
    model.max_tokens = 3;
    return model;
  }
  return not_found("no model \"" + name + "\"");
}

inline ServiceDependencies small_service() {
  ServiceDependencies dependencies;
  dependencies.pool.memory_budget = std::uint64_t{2} << 30;
  dependencies.model.num_threads = 1;
  dependencies.engine.keep_prefixes = false;
  dependencies.engine.context = 512;
  dependencies.engine.kv_tokens = 2048;
  dependencies.engine.speculate = false;
  dependencies.resolve = resolve_for_tests;
  return dependencies;
}

struct Answer {
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
  };
  struct Choice {
    std::string text;
    std::string reasoning;
    std::vector<TokenId> tokens;
    std::vector<AnswerLogprob> logprobs;
    std::vector<Call> calls;
    std::optional<ChoiceFinished> finish;
  };
  std::vector<double> load;
  std::vector<PrefillProgress> progress;
  std::optional<AnswerStarted> started;
  std::optional<PrefillDone> prefill;
  std::map<int, Choice> choices;
  std::map<int, EmbeddingReady> embeddings;
  std::map<int, double> scores;
  std::optional<AnswerDone> done;
  std::optional<AnswerFailed> failed;

  Choice& only() { return choices[0]; }
};

// Adds an event; true when it is the last one.
inline bool fold(Answer& answer, AnswerEvent& event) {
  if (auto* load = std::get_if<LoadProgress>(&event)) answer.load.push_back(load->fraction);
  if (auto* started = std::get_if<AnswerStarted>(&event)) answer.started = std::move(*started);
  if (auto* progress = std::get_if<PrefillProgress>(&event)) answer.progress.push_back(*progress);
  if (auto* prefill = std::get_if<PrefillDone>(&event)) answer.prefill = std::move(*prefill);
  if (auto* delta = std::get_if<TextDelta>(&event)) {
    auto& choice = answer.choices[delta->choice];
    choice.text += delta->text;
    choice.tokens.insert(choice.tokens.end(), delta->tokens.begin(), delta->tokens.end());
    choice.logprobs.insert(choice.logprobs.end(), delta->logprobs.begin(), delta->logprobs.end());
  }
  if (auto* delta = std::get_if<ReasoningDelta>(&event)) answer.choices[delta->choice].reasoning += delta->text;
  if (auto* call = std::get_if<ToolCallDelta>(&event)) {
    auto& calls = answer.choices[call->choice].calls;
    if (!call->id.empty()) {
      EXPECT_EQ(static_cast<std::size_t>(call->index), calls.size());
      calls.push_back({call->id, call->name, ""});
    }
    calls.at(static_cast<std::size_t>(call->index)).arguments += call->arguments;
  }
  if (auto* finish = std::get_if<ChoiceFinished>(&event)) answer.choices[finish->choice].finish = *finish;
  if (auto* embedding = std::get_if<EmbeddingReady>(&event)) answer.embeddings[embedding->input] = *embedding;
  if (auto* score = std::get_if<RerankReady>(&event)) answer.scores[score->document] = score->score;
  if (auto* done = std::get_if<AnswerDone>(&event)) answer.done = *done;
  if (auto* failed = std::get_if<AnswerFailed>(&event)) answer.failed = *failed;
  return answer.done || answer.failed;
}

inline Answer collect_answer(AnswerStream& stream) {
  Answer answer;
  while (std::optional<AnswerEvent> event = stream.next())
    fold(answer, *event);
  EXPECT_NE(answer.done.has_value(), answer.failed.has_value());
  return answer;
}

inline GenerateCall chat_call(const std::string& model, const std::string& text, std::int64_t max_tokens = 12) {
  GenerateCall call;
  call.options.model = model;
  call.sampling.temperature = 0.0F;
  call.max_tokens = max_tokens;
  ChatInput input;
  input.messages.push_back({{"role", "user"}, {"content", text}});
  call.input = std::move(input);
  return call;
}

inline GenerateCall text_call(const std::string& model, const std::string& text, std::int64_t max_tokens = 12) {
  GenerateCall call;
  call.options.model = model;
  call.sampling.temperature = 0.0F;
  call.max_tokens = max_tokens;
  call.input = TextInput{.text = text};
  return call;
}

inline bool mentions(const std::vector<std::string>& warnings, const std::string& text) {
  for (const std::string& warning : warnings) {
    if (warning.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace mlxr::test
