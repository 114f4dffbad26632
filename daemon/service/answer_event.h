#pragma once
// What the service tells a dialect, in the order in which it happens. A stream ends with exactly one AnswerDone or
// AnswerFailed; the non-streaming answer is a fold over the same events.

#include <chrono>
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

// The model is being loaded. Comes some times, before anything else.
struct LoadProgress {
  double fraction = 0.0;
};

// The prompt is known; nothing is computed yet.
struct AnswerStarted {
  std::string model = {};  // its full name
  std::int64_t prompt_tokens = 0;
  std::string prompt_text = {};            // with echo or render_only
  std::vector<TokenId> prompt_ids = {};    // the same
  std::vector<std::string> warnings = {};  // what of the request is not honoured, so far
  double load_ms = 0.0;                    // spent waiting for the model
};

struct PrefillProgress {
  std::int64_t done_tokens = 0;
  std::int64_t total_tokens = 0;
  std::int64_t cached_tokens = 0;
};

// The prompt is in memory.
struct PrefillDone {
  std::int64_t cached_tokens = 0;
  std::vector<Logprobs> logprobs = {};  // with prompt_logprobs: of the tokens from the second on
};

// One token's worth of log probability with its bytes, as dialects show them.
struct AnswerLogprob {
  std::string text = {};  // of the token alone; not valid UTF-8 when a character is spread over several
  TokenId token = 0;
  float logprob = 0.0F;
  std::vector<AnswerLogprob> top = {};
};

// More of a choice: valid UTF-8, never a part of a stop string or of a tag.
struct TextDelta {
  int choice = 0;
  std::string text = {};
  std::vector<TokenId> tokens = {};          // those that came with it
  std::vector<AnswerLogprob> logprobs = {};  // the same, when asked for
};

struct ReasoningDelta {
  int choice = 0;
  std::string text = {};
  std::vector<TokenId> tokens = {};
  std::vector<AnswerLogprob> logprobs = {};
};

// A call begins with its name and goes on with pieces of its arguments, which together are a JSON object.
struct ToolCallDelta {
  int choice = 0;
  int index = 0;               // of the call within the choice
  std::string id = {};         // in the first piece only: "call_..."
  std::string name = {};       // in the first piece only
  std::string arguments = {};  // the next piece of JSON text
};

struct ChoiceFinished {
  int choice = 0;
  FinishReason reason = FinishReason::kEndOfText;
  bool has_tool_calls = false;
  std::string stop_string = {};  // of kStopString
  TokenId stop_token = -1;       // of stop_tokens
  std::int64_t num_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  double cumulative_logprob = 0.0;
  std::uint64_t seed = 0;
  SpecReport speculation = {};
};

struct EmbeddingReady {
  int input = 0;
  std::int64_t num_tokens = 0;
  std::vector<float> values = {};  // [dimensions]
};

struct RerankReady {
  int document = 0;
  double score = 0.0;
};

struct AnswerTimings {
  double load_ms = 0.0;
  double queued_ms = 0.0;
  double prompt_ms = 0.0;
  double generation_ms = 0.0;
  double total_ms = 0.0;
};

struct AnswerDone {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t reasoning_tokens = 0;
  AnswerTimings timings = {};
  std::vector<std::string> warnings = {};  // all of the request
};

// What went wrong, beside the status: numbers that clients look for.
struct AnswerFailed {
  Status status = {};
  enum class Kind : std::uint8_t {
    kOther,
    kModelNotFound,
    kContextExceeded,  // prompt_tokens and context are set
    kQueueFull,        // try again later
    kMemoryFull,       // the model does not fit beside what is in use
  };
  Kind kind = Kind::kOther;
  std::int64_t prompt_tokens = 0;
  std::int64_t context = 0;
};

using AnswerEvent = std::variant<LoadProgress, AnswerStarted, PrefillProgress, PrefillDone, TextDelta, ReasoningDelta,
                                 ToolCallDelta, ChoiceFinished, EmbeddingReady, RerankReady, AnswerDone, AnswerFailed>;

}  // namespace mlxr
