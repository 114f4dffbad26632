#pragma once
// What a caller asks of an engine, in tokens. Plain data; an engine copies nothing of it that it can move.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/engine/scheduler.h"
#include "core/runtime/grammar/grammar.h"
#include "core/runtime/sampler/sampling_params.h"
#include "core/runtime/tokenizer/vocabulary.h"

namespace mlxr {

// Who asks, and how soon it matters. The same for every kind of request.
struct RequestOrigin {
  std::string caller_key;  // fairness is between keys
  // Callers with different salts never find each other's prefixes; empty: the prefixes that all share.
  std::string cache_salt;
  int priority = 0;  // -kMaxPriority to kMaxPriority, higher first
  std::optional<TimePoint> deadline;
};

// Bounds the reasoning that a model writes between two marks: once it has as many tokens, the closing tokens come next,
// whatever the model prefers. Marks are text or the spelling of special tokens.
struct ReasoningLimit {
  std::int64_t max_tokens = -1;  // -1: none
  bool open = false;             // the prompt ends inside of reasoning
  std::string begin;             // empty: reasoning is there only when it is open
  std::string end;
  std::vector<TokenId> closing;  // what spells `end`, perhaps with a line break before it
};

struct GenerateRequest {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  std::int64_t max_tokens = -1;  // a choice; -1: until the model ends or the context is full
  std::vector<std::string> stop;
  std::vector<TokenId> stop_tokens;  // end a choice as the model's own end does; no part of the answer
  bool ignore_end_of_text = false;
  ReasoningLimit reasoning = {};

  int n = 1;  // choices that are answered
  int best_of =
      0;  // choices that are generated, of which the n with the highest mean log probability are answered; 0: n

  bool logprobs = false;         // of the chosen tokens
  bool prompt_logprobs = false;  // of the prompt's tokens but the first; the prompt is then computed anew
  int top_logprobs = 0;          // alternatives beside either

  // What each choice may say (a schema, an expression, tagged text): compiled for this engine alone, whose thread keeps
  // what it finds out in it. nullptr: anything.
  std::shared_ptr<const Grammar> grammar = nullptr;

  bool prefill_events = false;  // PrefillEvent
  bool reuse_prefix = true;     // may find blocks of earlier prompts
  int max_draft_tokens = -1;    // proposed a step; 0: no speculation, -1: the engine's choice
  RequestOrigin origin = {};

  int num_generated_choices() const { return best_of > 0 ? best_of : n; }
};

enum class Pooling : std::uint8_t { kMean, kCls, kLast };

struct EmbedRequest {
  std::vector<std::vector<TokenId>> inputs;  // one vector each
  Pooling pooling = Pooling::kMean;
  bool normalize = true;  // to a length of 1
  RequestOrigin origin = {};
};

}  // namespace mlxr
