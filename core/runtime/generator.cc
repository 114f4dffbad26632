#include "core/runtime/generator.h"

#include <algorithm>
#include <chrono>

#include <fmt/core.h>

#include "core/runtime/stop_matcher.h"
#include "core/runtime/tokenizer/stream_decoder.h"

namespace mlxr {
namespace {

// Small enough that a cancellation is seen soon, large enough that weights are read once for many tokens.
constexpr std::size_t kPrefillChunk = 256;

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

bool cancelled(const Generator::Callbacks& callbacks) {
  return callbacks.cancel != nullptr && callbacks.cancel->load(std::memory_order_relaxed);
}

}  // namespace

// The state of one answer while it grows.
struct Generator::Answer {
  Answer(const Tokenizer& tokenizer, Sampler made, const GenerateOptions& options)
      : sampler(std::move(made)), decoder(tokenizer, {.at_start = false}), stops(options.stop) {}

  void show(std::string_view text, const Callbacks& callbacks) {
    if (text.empty()) return;
    result.text += text;
    if (callbacks.on_text) callbacks.on_text(text);
  }

  Sampler sampler;
  StreamDecoder decoder;
  StopMatcher stops;
  GenerateResult result;
};

Result<std::unique_ptr<Generator>> Generator::make(LoadedModel& model) {
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, model.cache().open());
  return std::unique_ptr<Generator>(new Generator(model, sequence));
}

Generator::~Generator() {
  model_.cache().close(sequence_);
}

void Generator::clear() {
  model_.cache().truncate(sequence_, 0);
  cached_.clear();
}

Status Generator::step(std::span<const TokenId> tokens, RowsWanted wanted) {
  const SequencePiece piece{sequence_, tokens, wanted};
  MLXR_RETURN_IF_ERROR(model_.runner().run({&piece, 1}, logits_));
  cached_.insert(cached_.end(), tokens.begin(), tokens.end());
  return {};
}

// Cuts the cache back to what it shares with the prompt; at least the last prompt token is computed again, for its
// logits.
std::int64_t Generator::reuse_prefix(std::span<const TokenId> prompt) {
  const auto differ = std::mismatch(cached_.begin(), cached_.end(), prompt.begin(), prompt.end() - 1).first;
  cached_.erase(differ, cached_.end());
  const auto kept = static_cast<std::int64_t>(cached_.size());
  model_.cache().truncate(sequence_, kept);
  return kept;
}

// False when it was cancelled.
Result<bool> Generator::prefill(std::span<const TokenId> prompt, std::int64_t cached, const Callbacks& callbacks) {
  std::span<const TokenId> rest = prompt.subspan(static_cast<std::size_t>(cached));
  const auto total = static_cast<std::int64_t>(rest.size());
  while (!rest.empty()) {
    if (cancelled(callbacks)) return false;
    const std::size_t count = std::min(rest.size(), kPrefillChunk);
    const bool last = count == rest.size();
    MLXR_RETURN_IF_ERROR(step(rest.first(count), last ? RowsWanted::kLast : RowsWanted::kNone));
    rest = rest.subspan(count);
    if (callbacks.on_prefill) callbacks.on_prefill(total - static_cast<std::int64_t>(rest.size()), total);
  }
  return true;
}

Result<GenerateResult> Generator::generate(std::span<const TokenId> prompt, const GenerateOptions& options,
                                           const Callbacks& callbacks) {
  if (prompt.empty()) return invalid_argument("the prompt is empty");
  MLXR_ASSIGN_OR_RETURN(Sampler sampler, Sampler::make(options.sampling, &vocabulary_));
  if (static_cast<std::int64_t>(prompt.size()) >= model_.context()) {
    return resource_exhausted(
        fmt::format("the prompt of {} tokens does not fit into the context of {}", prompt.size(), model_.context()));
  }
  const Clock::time_point start = Clock::now();
  Answer answer(*model_.tokenizer(), std::move(sampler), options);
  answer.result.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  answer.result.cached_tokens = reuse_prefix(prompt);
  answer.sampler.accept_prompt(prompt);
  MLXR_ASSIGN_OR_RETURN(const bool finished, prefill(prompt, answer.result.cached_tokens, callbacks));
  if (!finished) {
    answer.result.finish_reason = FinishReason::kCancelled;
    return std::move(answer.result);
  }
  answer.result.prompt_ms = ms_since(start);
  const Clock::time_point first = Clock::now();
  MLXR_RETURN_IF_ERROR(decode(answer, options, callbacks));
  answer.result.generation_ms = ms_since(first);
  return std::move(answer.result);
}

Status Generator::decode(Answer& answer, const GenerateOptions& options, const Callbacks& callbacks) {
  GenerateResult& result = answer.result;
  while (true) {
    if (cancelled(callbacks)) {
      result.finish_reason = FinishReason::kCancelled;
      break;
    }
    if (options.max_tokens >= 0 && static_cast<std::int64_t>(result.tokens.size()) >= options.max_tokens) {
      result.finish_reason = FinishReason::kMaxTokens;
      break;
    }
    MLXR_ASSIGN_OR_RETURN(const TokenId token, answer.sampler.sample(logits_));
    if (!options.ignore_end_of_text && model_.tokenizer()->is_end_of_generation(token)) break;
    answer.sampler.accept(token);
    result.tokens.push_back(token);
    answer.show(answer.stops.push(answer.decoder.push(token)), callbacks);
    if (answer.stops.stopped()) {
      result.finish_reason = FinishReason::kStopString;
      return {};
    }
    if (model_.cache().length(sequence_) >= model_.context()) {
      result.finish_reason = FinishReason::kContextFull;
      break;
    }
    MLXR_RETURN_IF_ERROR(step({&token, 1}, RowsWanted::kLast));
  }
  answer.show(answer.stops.push(answer.decoder.flush()), callbacks);
  answer.show(answer.stops.flush(), callbacks);
  return {};
}

}  // namespace mlxr
