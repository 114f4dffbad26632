#pragma once
// GenerateTask: one choice of an answer while it grows.

#include <memory>
#include <optional>
#include <vector>

#include "core/runtime/engine/reasoning_meter.h"
#include "core/runtime/engine/request.h"
#include "core/runtime/engine/task.h"
#include "core/runtime/grammar/grammar_matcher.h"
#include "core/runtime/sampler/sampler.h"
#include "core/runtime/stop_matcher.h"
#include "core/runtime/tokenizer/stream_decoder.h"

namespace mlxr {

// What the choices of all requests share; the engine's own.
struct GenerationShared {
  const Tokenizer* tokenizer = nullptr;  // nullptr: tokens only
  std::int64_t context = 0;              // tokens of a sequence at most
  std::int64_t vocab_size = 0;
  LogprobReader& logprobs;
  std::shared_ptr<const TokenTrie> trie = nullptr;  // made for the first grammar
  bool speculate = true;                            // by what the text itself suggests
  bool draft_model = false;                         // and by a draft model
};

class GenerateTask : public Task {
 public:
  GenerateTask(Job& job, RequestId id, int choice, std::shared_ptr<const GenerateRequest> request, Sampler sampler,
               GenerationShared& shared);

  Speculator* speculator() override { return speculator_.get(); }
  Sampler* sampler() override { return &sampler_; }
  std::size_t num_acceptable(std::span<const TokenId> proposed) override {
    return matcher_ ? matcher_->would_accept(proposed) : proposed.size();
  }

  std::span<const TokenId> tokens() const override { return tokens_; }
  std::int64_t num_prompt_tokens() const override { return static_cast<std::int64_t>(request_->prompt.size()); }
  std::int64_t max_tokens() const override { return request_->max_tokens; }
  bool may_reuse_prefix() const override { return request_->reuse_prefix && !wants_prompt_logprobs(); }

  RowsWanted logits_wanted(const TaskPiece& piece) const override;
  Result<TaskProgress> consume(const TaskPiece& piece, const PieceRows& rows, TimePoint now) override;
  void admitted(std::int64_t cached_tokens) override;
  // A choice may go when the others have the prompt.
  bool unwanted() const override { return prompt_told_ && job().stream().is_ended_choice(choice_); }
  void cancelled() override;

  const GenerateRequest& request() const { return *request_; }
  std::int64_t num_generated() const { return static_cast<std::int64_t>(tokens_.size()) - num_prompt_tokens(); }

 private:
  bool wants_prompt_logprobs() const { return request_->prompt_logprobs && choice_ == 0; }
  bool keeps_logprobs() const { return request_->logprobs || request_->best_of > request_->n; }
  std::span<const float> row(const PieceRows& rows, std::int64_t index) const;
  void read_prompt_logprobs(const TaskPiece& piece, const PieceRows& rows);
  // Samples after the last known token and after proposed ones that were right.
  Status verify(const TaskPiece& piece, const PieceRows& rows, DeltaEvent& delta, TaskProgress& progress);
  // False: the choice is complete.
  Result<bool> take(TokenId token, std::span<const float> logits, DeltaEvent& delta);
  // A token that was sampled or forced is known from now on. False: the choice is complete.
  bool append(TokenId token, DeltaEvent& delta);
  bool append_forced(DeltaEvent& delta);
  // What may come next: by the grammar, or the next token that closes reasoning.
  TokenMask allowed();
  void finish(FinishReason reason, DeltaEvent& delta);
  void send(DeltaEvent& delta);

  std::shared_ptr<const GenerateRequest> request_;
  GenerationShared& shared_;
  int choice_;
  std::vector<TokenId> tokens_;  // the prompt's, then the generated ones
  Sampler sampler_;
  std::optional<StreamDecoder> decoder_;
  StopMatcher stops_;
  std::optional<GrammarMatcher> matcher_;
  std::unique_ptr<Speculator> speculator_;
  std::vector<Logprobs> prompt_logprobs_;
  FinishEvent finish_;
  bool prompt_told_ = false;
  std::int64_t cached_tokens_ = 0;  // of the prompt, at its first step
  ReasoningMeter reasoning_;
};

}  // namespace mlxr
