#include "core/runtime/spec/draft_model.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/sampler/exponential.h"

namespace mlxr {

Status check_draft_vocabulary(const Tokenizer& target, const Tokenizer& draft) {
  const std::size_t shared = std::min(target.vocab_size(), draft.vocab_size());
  for (std::size_t i = 0; i < shared; ++i) {
    const auto token = static_cast<TokenId>(i);
    if (target.piece(token) == draft.piece(token)) continue;
    return invalid_argument(
        fmt::format("the draft model has another vocabulary: token {} is \"{}\", and \"{}\" to the model", token,
                    draft.piece(token), target.piece(token)));
  }
  return {};
}

// One request while it is answered.
struct DraftModel::Run {
  DraftRequest* request;
  std::vector<TokenId>* held;
  std::vector<TokenId> unread;
  std::int64_t limit = 0;  // tokens to propose

  bool done() const { return unread.empty(); }
};

DraftModel::DraftModel(KvCache& cache, StepRunner& runner, const DraftOptions& options)
    : cache_(cache), runner_(runner), options_(options) {
  MLXR_CHECK(options.vocab_size > 0 && options.chunk_tokens > 0, "a draft model without a vocabulary");
}

DraftModel::~DraftModel() {
  for (const auto& [sequence, tokens] : held_)
    cache_.close(sequence);
}

Result<SequenceId> DraftModel::open() {
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, cache_.open());
  held_[sequence];
  return sequence;
}

void DraftModel::close(SequenceId sequence) {
  MLXR_CHECK(held_.erase(sequence) == 1, "the sequence is not open");
  cache_.close(sequence);
}

void DraftModel::rewind(const DraftRequest& request) {
  std::vector<TokenId>& held = held_.at(request.sequence);
  const auto known = request.context.first(request.context.size() - 1);  // the last one is read again for its logits
  const auto differ = std::mismatch(held.begin(), held.end(), known.begin(), known.end()).first;
  if (differ == held.end()) return;
  held.erase(differ, held.end());
  cache_.truncate(request.sequence, static_cast<std::int64_t>(held.size()));
}

void DraftModel::draw(Run& run, std::span<const float> logits) {
  candidates_.assign(logits);
  const float top = candidates_.highest();
  TokenId token = most_likely(logits);
  if (run.request->sampler != nullptr) {
    const Result<TokenId> drawn = run.request->sampler->sample(logits);
    token = drawn.ok() ? *drawn : kNoCandidate;
  }
  if (token == kNoCandidate || token >= options_.target_vocab) return;
  const auto weight = static_cast<double>(exp_negative(logits[static_cast<std::size_t>(token)] - top));
  if (weight < options_.min_probability * candidates_.weight_sum()) return;
  run.request->proposed.push_back(token);
  if (run.request->sampler != nullptr) run.request->sampler->accept(token);
  if (static_cast<std::int64_t>(run.request->proposed.size()) < run.limit) run.unread.push_back(token);
}

Result<bool> DraftModel::step(std::vector<Run>& runs) {
  std::vector<SequencePiece> pieces;
  std::vector<Run*> running;
  for (Run& run : runs) {
    if (run.done()) continue;
    const std::size_t count = std::min(run.unread.size(), static_cast<std::size_t>(options_.chunk_tokens));
    const bool last = count == run.unread.size();
    pieces.push_back(
        {run.request->sequence, std::span(run.unread).first(count), last ? RowsWanted::kLast : RowsWanted::kNone});
    running.push_back(&run);
  }
  if (pieces.empty()) return false;
  MLXR_RETURN_IF_ERROR(runner_.run(pieces, logits_));
  const auto width = static_cast<std::size_t>(options_.vocab_size);
  std::size_t row = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Run& run = *running[i];
    const auto count = static_cast<std::ptrdiff_t>(pieces[i].tokens.size());
    run.held->insert(run.held->end(), run.unread.begin(), run.unread.begin() + count);
    run.unread.erase(run.unread.begin(), run.unread.begin() + count);
    if (pieces[i].logits == RowsWanted::kLast) draw(run, std::span(logits_).subspan(row++ * width, width));
  }
  return true;
}

Status DraftModel::propose(std::span<DraftRequest> requests) {
  std::vector<Run> runs;
  for (DraftRequest& request : requests) {
    request.proposed.clear();
    MLXR_CHECK(!request.context.empty(), "there is nothing to go on from");
    const auto length = static_cast<std::int64_t>(request.context.size());
    const std::int64_t room = cache_.max_length() - length + 1;  // the last proposed token is not read
    const std::int64_t limit = std::min(request.max_tokens, room);
    if (limit <= 0) continue;
    rewind(request);
    std::vector<TokenId>& held = held_.at(request.sequence);
    const auto unread = request.context.subspan(held.size());
    runs.push_back({&request, &held, {unread.begin(), unread.end()}, limit});
  }
  Status status;
  while (status.ok()) {
    const Result<bool> stepped = step(runs);
    if (!stepped.ok()) status = stepped.status();
    if (!stepped.ok() || !*stepped) break;
  }
  for (const Run& run : runs) {
    if (run.request->sampler != nullptr) {
      run.request->sampler->rollback(static_cast<std::int64_t>(run.request->proposed.size()));
    }
    if (!status.ok()) run.request->proposed.clear();
  }
  return status;
}

}  // namespace mlxr
