#pragma once
// Generator: one answer at a time from a LoadedModel. Keeps what the cache already holds when the next prompt begins
// with it, so that a conversation only computes what is new. Used by one thread, the engine thread of the model.

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/finish_reason.h"
#include "core/runtime/loaded_model.h"
#include "core/runtime/sampler/sampler.h"

namespace mlxr {

struct GenerateOptions {
  SamplingParams sampling;
  std::int64_t max_tokens = -1;  // -1: until the model ends or the context is full
  std::vector<std::string> stop;
  bool ignore_end_of_text = false;
};

struct GenerateResult {
  std::vector<TokenId> tokens;  // generated, without the end-of-text token
  std::string text;             // what on_text was given, in one piece
  FinishReason finish_reason = FinishReason::kEndOfText;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt, found in the cache
  double prompt_ms = 0.0;          // until the first token was chosen
  double generation_ms = 0.0;      // from then on
};

class Generator {
 public:
  // Called on the generating thread. Text never cuts a character or shows part of a stop string.
  using OnText = std::function<void(std::string_view)>;
  // Prompt tokens computed so far, and all that must be.
  using OnPrefill = std::function<void(std::int64_t done, std::int64_t total)>;

  struct Callbacks {
    OnText on_text;
    OnPrefill on_prefill;
    const std::atomic<bool>* cancel = nullptr;  // looked at between steps, inside a prompt too
  };

  // `model` must outlive the generator and have a tokenizer. Takes the model's cache for itself.
  static Result<std::unique_ptr<Generator>> make(LoadedModel& model);
  ~Generator();

  // kResourceExhausted when the prompt does not fit into the context; kInvalidArgument for bad sampling parameters or
  // an empty prompt. After an error or a cancellation the generator is ready for the next prompt.
  Result<GenerateResult> generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                                  const Callbacks& callbacks);

  // Forgets the cached prompt.
  void clear();

 private:
  struct Answer;
  Generator(LoadedModel& model, SequenceId sequence)
      : model_(model), sequence_(sequence), vocabulary_(*model.tokenizer()) {}

  std::int64_t reuse_prefix(std::span<const TokenId> prompt);
  Result<bool> prefill(std::span<const TokenId> prompt, std::int64_t cached, const Callbacks& callbacks);
  Status decode(Answer& answer, const GenerateOptions& options, const Callbacks& callbacks);
  Status step(std::span<const TokenId> tokens, RowsWanted wanted);

  LoadedModel& model_;
  SequenceId sequence_;
  SamplingVocabulary vocabulary_;
  std::vector<TokenId> cached_;  // the tokens whose keys and values the cache holds
  std::vector<float> logits_;    // of the last token of cached_
};

}  // namespace mlxr
