// FairScheduler: which waiting requests start.

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/base/check.h"
#include "daemon/scheduler/fair_scheduler.h"
#include "daemon/scheduler/prefill_order.h"

namespace mlxr {

// Priority, raised by waiting as far as the highest priority that waits: further would make a long queue of one caller
// count for more than fairness between callers.
int FairScheduler::waiting_level(std::int64_t wait_key, int priority, TimePoint now) const {
  return aged_level(wait_key, priority, waiting_priorities_.rbegin()->first, now);
}

int FairScheduler::aged_level(std::int64_t wait_key, int level, int highest, TimePoint now) const {
  if (level >= highest) return level;
  const auto now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  const double aged = static_cast<double>(now_ns - wait_key) / (options_.aging_ms * 1e6);
  if (aged >= highest) return highest;
  return std::max(level, static_cast<int>(std::floor(std::max(aged, -1.0 * kMaxPriority))));
}

// A prompt that was admitted goes on aging until it is computed, up to the others that compete with it.
void FairScheduler::age_prefill(TimePoint now) {
  int highest = -kMaxPriority;
  for (const RequestState* request : running_)
    if (request->phase == RequestPhase::kPrefill) highest = std::max(highest, request->level);
  for (RequestState* request : running_)
    if (request->phase == RequestPhase::kPrefill)
      request->level = aged_level(request->wait_key, request->level, highest, now);
}

RequestState* FairScheduler::queue_head(TimePoint now) const {
  const auto rank = [](const WaitingCaller& waiting) {
    return std::tuple(waiting.service, waiting.wait_key, waiting.order);
  };
  const bool one_level = waiting_priorities_.size() == 1;
  const WaitingCaller* best = nullptr;
  int best_level = 0;
  for (const WaitingCaller& waiting : accounts_.waiting()) {
    const int level = one_level ? 0 : waiting_level(waiting.wait_key, waiting.priority, now);
    if (best != nullptr && (level < best_level || (level == best_level && rank(waiting) >= rank(*best)))) continue;
    best = &waiting;
    best_level = level;
  }
  return *best->caller->waiting.begin();
}

// Whether this step has prefill tokens for one more request: some are left over, or it comes before all that run. To
// admit more would only decide the order before the last moment.
bool FairScheduler::prefill_wants(const RequestState& head, int level) const {
  std::int64_t wanted = 0;
  bool first = true;
  const double turn = prefill_turn(options_, head);
  for (const RequestState* request : running_) {
    if (request->phase != RequestPhase::kPrefill) continue;
    wanted += request->remaining();
    first = first && (level > request->level || (level == request->level && turn < prefill_turn(options_, *request)));
  }
  return first || wanted < options_.max_step_tokens - step_tokens_;
}

// Tokens by which a request may soon grow beyond what it has to compute.
std::int64_t FairScheduler::growth_tokens(const RequestState& request) const {
  if (request.request.max_tokens < 0) return options_.headroom_tokens;
  return std::clamp(request.request.max_tokens - request.generated(), std::int64_t{0}, options_.headroom_tokens);
}

// Free blocks that running requests will take.
std::int64_t FairScheduler::promised_blocks(const RequestState& request, const KvLedger& ledger) const {
  const std::int64_t held = ledger.blocks_for(request.context + request.planned_tokens);
  return std::max(std::int64_t{0}, ledger.blocks_for(request.length + growth_tokens(request)) - held);
}

// Free blocks that nobody waits for.
std::int64_t FairScheduler::spare_blocks(const KvLedger& ledger) const {
  std::int64_t spare = ledger.free_blocks();
  if (running_.empty()) return spare;
  for (const RequestState* request : running_)
    spare -= promised_blocks(*request, ledger);
  const double watermark = std::ceil(options_.watermark * static_cast<double>(ledger.total_blocks()));
  return spare - static_cast<std::int64_t>(watermark);
}

bool FairScheduler::make_slot(const RequestState& head, KvLedger& ledger) {
  if (static_cast<std::int64_t>(running_.size()) < options_.max_running) return true;
  RequestState* worst = victim(head.request.priority);
  if (worst == nullptr) return false;
  preempt(*worst, ledger);
  return true;
}

// Spare blocks there would be without what stands below the priority of the head.
std::int64_t FairScheduler::possible_blocks(const RequestState& head, const KvLedger& ledger) const {
  std::int64_t blocks = spare_blocks(ledger);
  for (const RequestState* request : running_) {
    if (!may_displace(*request, head.request.priority)) continue;
    blocks += ledger.blocks_for(request->context + request->planned_tokens) + promised_blocks(*request, ledger);
  }
  return blocks;
}

bool FairScheduler::make_room(const RequestState& head, std::int64_t blocks, KvLedger& ledger) {
  if (possible_blocks(head, ledger) < blocks) return false;
  while (spare_blocks(ledger) < blocks) {
    RequestState* worst = victim(head.request.priority);
    if (worst == nullptr) return false;
    preempt(*worst, ledger);
  }
  return true;
}

bool FairScheduler::open_head(RequestState& head, int level, KvLedger& ledger) {
  // A head that had no room is not opened again, which costs the search for its prefix, until that room is there.
  const std::int64_t last_block = ledger.blocks_for(head.length) - ledger.blocks_for(head.length - 1);
  if (!running_.empty() && possible_blocks(head, ledger) < std::max(head.blocks_wanted, last_block)) return false;
  const std::int64_t free_before = ledger.free_blocks();
  const std::optional<std::int64_t> covered = ledger.open(head.request.id);
  if (!covered.has_value()) return false;
  MLXR_CHECK(*covered >= 0 && *covered < head.length, "a prefix leaves a token to compute");
  const std::int64_t growth = running_.empty() ? 0 : growth_tokens(head);
  const std::int64_t blocks = ledger.blocks_for(head.length + growth) - ledger.blocks_for(*covered);
  if (!make_room(head, blocks, ledger) && !running_.empty()) {
    // Blocks of the prefix that were free before count as wanted, too.
    head.blocks_wanted = blocks + free_before - ledger.free_blocks();
    ledger.release(head.request.id);
    return false;
  }
  dequeue(head);
  accounts_.charge_admission(head, *covered);
  head.context = *covered;
  head.covered = *covered;
  head.level = level;
  start_running(head, RequestPhase::kPrefill);
  plan_.admitted.push_back(head.request.id);
  return true;
}

bool FairScheduler::swap_in_head(RequestState& head, int level, KvLedger& ledger) {
  const RequestId id = head.request.id;
  const bool decodes = head.phase_before_swap == RequestPhase::kDecode;
  // Drafts may have taken the rows that it would decode with.
  const std::int64_t rows = options_.max_step_tokens - options_.min_prefill_tokens - step_tokens_;
  if (decodes && rows < 1) return false;
  const std::int64_t growth = running_.empty() ? 0 : growth_tokens(head);
  const std::int64_t blocks =
      ledger.swapped_blocks(id) + ledger.blocks_for(head.length + growth) - ledger.blocks_for(head.context);
  if (!make_room(head, blocks, ledger) && !running_.empty()) return false;
  if (!ledger.swap_in(id)) return false;
  dequeue(head);
  head.level = level;
  start_running(head, head.phase_before_swap);
  head.swapped_in_step = step_;
  plan_.swapped_in.push_back(id);
  const std::int64_t tokens = std::min(head.remaining(), rows);
  if (decodes && ledger.reserve(id, tokens)) add_piece(head, tokens, false);
  return true;
}

void FairScheduler::admit(TimePoint now, KvLedger& ledger) {
  while (stats_.waiting > 0) {
    const bool full = static_cast<std::int64_t>(running_.size()) >= options_.max_running;
    if (full && victim(waiting_priorities_.rbegin()->first) == nullptr) return;
    RequestState& head = *queue_head(now);
    if (head.preempted_step == step_) return;
    if (ledger.blocks_for(head.length) > ledger.total_blocks()) {
      fail_too_large(head, head.length, ledger);
      continue;
    }
    const int level = waiting_level(head.wait_key, head.request.priority, now);
    const bool swapped = head.phase == RequestPhase::kSwapped;
    if (!(swapped && head.phase_before_swap == RequestPhase::kDecode) && !prefill_wants(head, level)) return;
    if (!make_slot(head, ledger)) return;
    if (!(swapped ? swap_in_head(head, level, ledger) : open_head(head, level, ledger))) return;
  }
}

}  // namespace mlxr
