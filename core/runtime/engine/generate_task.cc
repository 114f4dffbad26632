#include "core/runtime/engine/generate_task.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/runtime/spec/verify.h"

namespace mlxr {

GenerateTask::GenerateTask(Job& job, RequestId id, int choice, std::shared_ptr<const GenerateRequest> request,
                           Sampler sampler, GenerationShared& shared)
    : Task(job, id),
      request_(std::move(request)),
      shared_(shared),
      choice_(choice),
      tokens_(request_->prompt),
      sampler_(std::move(sampler)),
      stops_(request_->stop),
      reasoning_(request_->reasoning, shared_.tokenizer) {
  if (shared_.tokenizer != nullptr) decoder_.emplace(*shared_.tokenizer, StreamDecoderOptions{.at_start = false});
  if (request_->grammar) {
    if (!shared_.trie) shared_.trie = TokenTrie::make(*shared_.tokenizer);
    matcher_.emplace(request_->grammar, shared_.trie);
  }
  if (shared_.speculate && request_->max_draft_tokens != 0) {
    SpeculatorOptions options{.control = {}, .draft_model = shared_.draft_model};
    if (request_->max_draft_tokens > 0) options.control.max_tokens = request_->max_draft_tokens;
    speculator_ = std::make_unique<Speculator>(usual_proposers(nullptr), options);
  }
  finish_.choice = choice_;
  finish_.seed = sampler_.seed();
}

RowsWanted GenerateTask::logits_wanted(const TaskPiece& piece) const {
  const bool in_prompt = piece.context < num_prompt_tokens();
  if (piece.num_drafts > 0 || (in_prompt && wants_prompt_logprobs())) return RowsWanted::kAll;
  return piece.samples ? RowsWanted::kLast : RowsWanted::kNone;
}

std::span<const float> GenerateTask::row(const PieceRows& rows, std::int64_t index) const {
  const auto vocab = static_cast<std::size_t>(shared_.vocab_size);
  return rows.logits.subspan(static_cast<std::size_t>(index) * vocab, vocab);
}

// Row i tells of the token after position context + i.
void GenerateTask::read_prompt_logprobs(const TaskPiece& piece, const PieceRows& rows) {
  for (std::int64_t i = 0; i < piece.num_known && piece.context + i + 1 < num_prompt_tokens(); ++i) {
    // A preempted prompt is computed again; its first rows were read before.
    if (static_cast<std::int64_t>(prompt_logprobs_.size()) > piece.context + i) continue;
    const TokenId token = tokens_[static_cast<std::size_t>(piece.context + i + 1)];
    prompt_logprobs_.push_back(
        shared_.logprobs.read(row(rows, i), token, static_cast<std::size_t>(request_->top_logprobs)));
  }
}

Result<TaskProgress> GenerateTask::consume(const TaskPiece& piece, const PieceRows& rows, TimePoint now) {
  if (wants_prompt_logprobs()) read_prompt_logprobs(piece, rows);
  TaskProgress progress;
  const std::int64_t in_memory = piece.context + piece.num_known;
  if (request_->prefill_events && choice_ == 0 && !prompt_told_ && in_memory <= num_prompt_tokens()) {
    job().send(Event(PrefillEvent{in_memory, num_prompt_tokens(), cached_tokens_}));
  }
  if (!piece.samples) return progress;
  job().note_first_token(now);
  if (!prompt_told_ && choice_ == 0) {
    job().send(PromptEvent{.prompt_tokens = num_prompt_tokens(),
                           .cached_tokens = job().report().cached_tokens,
                           .logprobs = std::move(prompt_logprobs_)});
  }
  prompt_told_ = true;

  DeltaEvent delta{.choice = choice_, .tokens = {}, .logprobs = {}, .text = {}};
  const std::size_t known = tokens_.size();
  if (request_->max_tokens == 0) {
    finish(FinishReason::kMaxTokens, delta);
    progress.finished = true;
  } else {
    MLXR_RETURN_IF_ERROR(verify(piece, rows, delta, progress));
  }
  progress.num_generated = static_cast<std::int64_t>(tokens_.size() - known);
  if (speculator_) {
    speculator_->verified(progress.num_accepted);
    finish_.speculation = speculator_->report();
  }
  job().report().generated_tokens += progress.num_generated;
  send(delta);
  if (progress.finished) job().send(finish_);
  return progress;
}

Status GenerateTask::verify(const TaskPiece& piece, const PieceRows& rows, DeltaEvent& delta, TaskProgress& progress) {
  const std::size_t known = tokens_.size();
  const auto num_drafts = static_cast<std::size_t>(piece.num_drafts);
  const auto drafts = num_drafts > 0 ? speculator_->proposal().first(num_drafts) : std::span<const TokenId>();
  const auto vocab = static_cast<std::size_t>(shared_.vocab_size);
  Status trouble;
  const VerifyHooks hooks{.allowed = [this] { return allowed(); },
                          .take =
                              [&](TokenId token, std::span<const float> row) {
                                Result<bool> goes_on = take(token, row, delta);
                                if (!goes_on.ok()) trouble = goes_on.status();
                                progress.finished = !goes_on.ok() || !*goes_on;
                                return !progress.finished;
                              }};
  const Result<Verified> verified =
      verify_proposal(sampler_, drafts, {rows.logits.last((num_drafts + 1) * vocab), shared_.vocab_size}, hooks);
  if (!trouble.ok()) return trouble;
  if (matcher_ && !matcher_->status().ok()) return matcher_->status();
  if (!verified.ok()) {
    return verified.status().with_context(fmt::format("token {} of the answer", num_generated()));
  }
  if (!progress.finished) progress.finished = !append_forced(delta);
  // A proposed end of the text is right and yet no token of the answer.
  progress.num_accepted = std::min(verified->num_accepted, static_cast<std::int64_t>(tokens_.size() - known));
  return {};
}

TokenMask GenerateTask::allowed() {
  if (const TokenMask forced = reasoning_.forced(shared_.vocab_size); !forced.empty()) return forced;
  return matcher_ ? matcher_->mask() : TokenMask{};
}

// A sampled token, as far as it is one of the answer.
Result<bool> GenerateTask::take(TokenId token, std::span<const float> logits, DeltaEvent& delta) {
  if (shared_.tokenizer != nullptr && !request_->ignore_end_of_text && shared_.tokenizer->is_end_of_generation(token)) {
    finish(FinishReason::kEndOfText, delta);
    return false;
  }
  const auto& stop_tokens = request_->stop_tokens;
  if (std::find(stop_tokens.begin(), stop_tokens.end(), token) != stop_tokens.end()) {
    finish_.stop_token = token;
    finish(FinishReason::kEndOfText, delta);
    return false;
  }
  if (matcher_ && !matcher_->accept(token)) {
    if (!matcher_->status().ok()) return matcher_->status();
    return internal(fmt::format("the grammar allowed token {} and then refused it", token));
  }
  if (keeps_logprobs()) {
    Logprobs logprobs = shared_.logprobs.read(logits, token, static_cast<std::size_t>(request_->top_logprobs));
    finish_.cumulative_logprob += logprobs.chosen.logprob;
    if (request_->logprobs) delta.logprobs.push_back(std::move(logprobs));
  }
  return append(token, delta);
}

bool GenerateTask::append(TokenId token, DeltaEvent& delta) {
  tokens_.push_back(token);
  delta.tokens.push_back(token);
  ++finish_.num_tokens;
  reasoning_.push(token);
  if (decoder_) delta.text += stops_.push(decoder_->push(token));
  if (stops_.stopped()) {
    finish_.stop_string = *stops_.stopped_by();
    finish_.reason = FinishReason::kStopString;
    return false;
  }
  if (static_cast<std::int64_t>(tokens_.size()) >= shared_.context) {
    finish(FinishReason::kContextFull, delta);
    return false;
  }
  // Known without another step.
  if (request_->max_tokens >= 0 && num_generated() >= request_->max_tokens) {
    finish(FinishReason::kMaxTokens, delta);
    return false;
  }
  return true;
}

// Log probabilities need the logits of every token, so that nothing is jumped over when they are wanted.
bool GenerateTask::append_forced(DeltaEvent& delta) {
  if (!matcher_ || keeps_logprobs() || reasoning_.is_forcing()) return true;
  for (const TokenId token : matcher_->forced_tokens(*shared_.tokenizer)) {
    if (reasoning_.is_forcing()) break;
    const auto& stops = request_->stop_tokens;
    if (std::find(stops.begin(), stops.end(), token) != stops.end()) break;
    if (!matcher_->accept(token)) break;
    sampler_.accept(token);
    if (!append(token, delta)) return false;
  }
  return true;
}

void GenerateTask::finish(FinishReason reason, DeltaEvent& delta) {
  finish_.reason = reason;
  if (!decoder_) return;
  delta.text += stops_.push(decoder_->flush());
  delta.text += stops_.flush();
}

void GenerateTask::send(DeltaEvent& delta) {
  if (!delta.tokens.empty() || !delta.text.empty()) job().send(std::move(delta));
}

void GenerateTask::admitted(std::int64_t cached_tokens) {
  cached_tokens_ = cached_tokens;
  if (request_->prefill_events && choice_ == 0) {
    job().send(Event(PrefillEvent{cached_tokens, num_prompt_tokens(), cached_tokens}));
  }
}

void GenerateTask::cancelled() {
  DeltaEvent delta{.choice = choice_, .tokens = {}, .logprobs = {}, .text = {}};
  finish(FinishReason::kCancelled, delta);
  send(delta);
  job().send(finish_);
}

}  // namespace mlxr
