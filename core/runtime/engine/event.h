#pragma once
// What an engine tells a caller, in the order in which it happens. A stream ends with exactly one DoneEvent or
// FailedEvent.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/finish_reason.h"
#include "core/runtime/sampler/logprobs.h"
#include "core/runtime/spec/spec_report.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

// The prompt is in memory. Comes once, before any token.
struct PromptEvent {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of them, found in memory or on disk
  std::vector<Logprobs> logprobs;  // when asked for: of the tokens from the second on
};

// How far the prompt is, when asked for: at the first step of the request, with what the cache had, and after each
// part.
struct PrefillEvent {
  std::int64_t done_tokens = 0;
  std::int64_t total_tokens = 0;
  std::int64_t cached_tokens = 0;
};

// More of one choice. Text is valid UTF-8 and never shows a part of a stop string, so that it lags behind the tokens.
struct DeltaEvent {
  int choice = 0;
  std::vector<TokenId> tokens;
  std::vector<Logprobs> logprobs;  // when asked for: one a token
  std::string text;
};

// A choice is complete.
struct FinishEvent {
  int choice = 0;
  FinishReason reason = FinishReason::kEndOfText;
  std::string stop_string;  // of kStopString: the one that appeared
  TokenId stop_token = -1;  // of kEndOfText: the one of the request's stop_tokens that came
  std::int64_t num_tokens = 0;
  double cumulative_logprob = 0.0;  // of the chosen tokens, when log probabilities were kept
  std::uint64_t seed = 0;
  SpecReport speculation;
};

struct EmbeddingEvent {
  int input = 0;
  std::vector<float> values;  // [hidden]
};

struct RequestTimings {
  double queued_ms = 0.0;      // until its first step
  double prompt_ms = 0.0;      // from there to the first token
  double generation_ms = 0.0;  // from there to the end
};

struct DoneEvent {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;  // of all choices, those that were not answered included
  std::int64_t num_preemptions = 0;
  RequestTimings timings;
};

// The request is over without an answer, or with a part of one.
struct FailedEvent {
  Status status;
};

using Event = std::variant<PrefillEvent, PromptEvent, DeltaEvent, FinishEvent, EmbeddingEvent, DoneEvent, FailedEvent>;

}  // namespace mlxr
