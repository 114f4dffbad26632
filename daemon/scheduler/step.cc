// FairScheduler: which tokens go into the step.

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/check.h"
#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/prefill_order.h"

namespace mlxr {
namespace {

// Prefill tokens beside decodes while the cost model knows nothing of prefill.
constexpr std::int64_t kFirstChunk = 256;

}  // namespace

void FairScheduler::add_piece(RequestState& request, std::int64_t tokens, bool prefill) {
  plan_.pieces.push_back({.id = request.request.id,
                          .num_tokens = tokens,
                          .draft_tokens = 0,
                          .prefill = prefill,
                          .samples = tokens == request.remaining()});
  request.planned_tokens = tokens;
  step_tokens_ += tokens;
}

void FairScheduler::drop_piece(RequestState& request) {
  if (request.planned_tokens == 0) return;
  const auto piece = std::find_if(plan_.pieces.begin(), plan_.pieces.end(),
                                  [&](const StepPiece& p) { return p.id == request.request.id; });
  step_tokens_ -= request.planned_tokens;
  request.planned_tokens = 0;
  plan_.pieces.erase(piece);
}

void FairScheduler::plan_decodes(KvLedger& ledger) {
  order_.clear();
  for (RequestState* request : running_)
    if (request->phase == RequestPhase::kDecode) order_.push_back(request);
  // One row is kept for each decode that follows, and those of prefill; validate() sees to it that they exist.
  std::int64_t room = options_.max_step_tokens - options_.min_prefill_tokens - static_cast<std::int64_t>(order_.size());
  for (RequestState* request : order_) {
    if (request->phase != RequestPhase::kDecode) continue;
    MLXR_CHECK(request->remaining() >= 1, "a sampled request is extended or finished before the next plan");
    const std::int64_t tokens = std::min(request->remaining(), 1 + room);
    if (!reserve_decode(*request, tokens, ledger)) continue;
    add_piece(*request, tokens, false);
    room -= tokens - 1;
  }
}

void FairScheduler::plan_drafts(KvLedger& ledger) {
  order_.clear();
  for (const StepPiece& piece : plan_.pieces) {
    RequestState* request = find(piece.id);
    order_.push_back(request->wanted_drafts > 0 && piece.samples ? request : nullptr);
  }
  auto wanting = static_cast<std::int64_t>(order_.size() -
                                           static_cast<std::size_t>(std::count(order_.begin(), order_.end(), nullptr)));
  if (wanting == 0) return;
  const bool prefill_waits = stats_.waiting > 0 || plan_.pieces.size() < running_.size();
  std::int64_t room = options_.max_step_tokens - step_tokens_ - (prefill_waits ? options_.min_prefill_tokens : 0);
  // A row for one that comes back from the host, or drafts would keep it there.
  if (stats_.swapped > 0) --room;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (order_[i] == nullptr) continue;
    RequestState& request = *order_[i];
    const std::int64_t drafts = std::min(request.wanted_drafts, std::max(room, std::int64_t{0}) / wanting--);
    if (drafts < 1 || !ledger.reserve(request.request.id, request.planned_tokens + drafts)) continue;
    plan_.pieces[i].draft_tokens = drafts;
    request.planned_tokens += drafts;
    step_tokens_ += drafts;
    room -= drafts;
  }
}

StepWork FairScheduler::planned_work() {
  StepWork work;
  for (const StepPiece& piece : plan_.pieces)
    work.add(piece.num_tokens + piece.draft_tokens, find(piece.id)->context, piece.prefill);
  return work;
}

void FairScheduler::plan_prefill(KvLedger& ledger) {
  order_.clear();
  for (RequestState* request : running_)
    if (request->phase == RequestPhase::kPrefill) order_.push_back(request);
  if (order_.empty()) return;
  std::sort(order_.begin(), order_.end(),
            [&](const RequestState* a, const RequestState* b) { return prefilled_before(options_, *a, *b); });

  std::int64_t room = options_.max_step_tokens - step_tokens_;
  const bool decodes = !plan_.pieces.empty();
  double ms_left = std::numeric_limits<double>::infinity();
  if (costs_.ready_for_prefill()) {
    ms_left = (decodes ? options_.target_latency_ms : options_.prefill_latency_ms) - costs_.predict_ms(planned_work());
  } else {
    room = std::min(room, std::max(decodes ? kFirstChunk : 2 * kFirstChunk, options_.min_prefill_tokens));
  }
  bool first = true;
  for (RequestState* request : order_) {
    // One of lower level may have been preempted on the way.
    if (request->phase != RequestPhase::kPrefill) continue;
    const std::int64_t least = std::min({request->remaining(), options_.min_prefill_tokens, room});
    std::int64_t tokens = std::min(request->remaining(), room);
    if (std::isfinite(ms_left)) tokens = costs_.prefill_tokens_within(ms_left, request->context, tokens);
    if (first) tokens = std::max(tokens, least);
    if (tokens < least || tokens < 1) break;
    tokens = reserve_prefill(*request, tokens, ledger);
    if (tokens == 0) continue;
    add_piece(*request, tokens, true);
    first = false;
    room -= tokens;
    ms_left -= costs_.prefill_ms(tokens, request->context);
  }
}

}  // namespace mlxr
