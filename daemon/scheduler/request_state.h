#pragma once
// What the scheduler knows of one live request.

#include <cstdint>

#include "core/runtime/engine/scheduler.h"

namespace mlxr {

struct CallerAccount;

enum class RequestPhase : std::uint8_t {
  kWaiting,  // in the queue, nothing in memory
  kSwapped,  // in the queue, its memory is with the host
  kPrefill,
  kDecode,
};

struct RequestState {
  ScheduledRequest request;
  CallerAccount* caller = nullptr;
  std::uint64_t order = 0;    // of submission; tells apart what arrived at the same time
  std::int64_t wait_key = 0;  // the smaller, the earlier in its caller's queue: arrival in ns less aging for priority

  RequestPhase phase = RequestPhase::kWaiting;
  RequestPhase phase_before_swap = RequestPhase::kPrefill;
  std::int64_t length = 0;    // known tokens
  std::int64_t context = 0;   // tokens in memory, or swapped out
  std::int64_t covered = 0;   // of the context, what a prefix gave at the last admission
  std::int64_t furthest = 0;  // the longest context so far: what is never charged again
  std::int64_t wanted_drafts = 0;
  std::int64_t blocks_wanted = 0;  // free blocks that its admission was refused for; 0 when it was not

  bool charged = false;  // its prompt, at its first admission
  int level = 0;         // priority with which it was admitted, what it gained by waiting included
  int num_preemptions = 0;
  double start_service = 0;  // of its caller, when it was admitted first
  std::size_t running_index = 0;
  // Numbers of plans.
  std::uint64_t swapped_in_step = 0;
  std::uint64_t preempted_step = 0;
  std::int64_t planned_tokens = 0;  // of its piece in the current plan; 0 when it has none

  bool waits() const { return phase == RequestPhase::kWaiting || phase == RequestPhase::kSwapped; }
  std::int64_t remaining() const { return length - context; }
  std::int64_t generated() const { return length - request.prompt_tokens; }
};

// Order within the queue of a caller. Static: waiting longer and a higher priority are the same thing in it.
struct WaitsBefore {
  bool operator()(const RequestState* a, const RequestState* b) const {
    if (a->wait_key != b->wait_key) return a->wait_key < b->wait_key;
    return a->order < b->order;
  }
};

}  // namespace mlxr
