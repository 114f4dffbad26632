#pragma once
// CallerAccounts: how much service each caller has had, so that the one with the least goes next. This is the virtual
// token counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024): prompt tokens are charged
// when a request is admitted, generated ones as they come, each divided by the weight of the caller; a caller that
// comes back is lifted to those that wait, so that idling earns no credit.
//
// Between two callers of weight w that always wait, the paper bounds the difference in service by
// 2 max(prompt_token_cost * longest prompt, generated_token_cost * tokens that fit in memory) / w.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/scheduler/request_state.h"
#include "daemon/scheduler/scheduler_options.h"

namespace mlxr {

struct CallerAccount;

// A caller for whom something waits, and the first of its queue: what the choice between callers reads, side by side.
struct WaitingCaller {
  CallerAccount* caller = nullptr;
  double service = 0;
  std::int64_t wait_key = 0;
  std::uint64_t order = 0;
  int priority = 0;
};

struct CallerAccount {
  std::string key;
  double weight = 1;
  double service = 0;  // charged / weight
  std::int64_t running = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::set<RequestState*, WaitsBefore> waiting;
  std::size_t waiting_index = 0;  // in CallerAccounts::waiting(), while something waits
};

class CallerAccounts {
 public:
  // `options` outlives it.
  explicit CallerAccounts(const SchedulerOptions& options) : options_(options) {}

  // The account of `key`, opened when there is none. It stays while a request of it lives; an idle one may be closed
  // when there are many.
  CallerAccount& account(std::string_view key);
  const CallerAccount* find(std::string_view key) const;
  // Callers with a waiting request, in no order.
  const std::vector<WaitingCaller>& waiting() const { return waiting_; }

  // Lifts a caller for whom nothing waits, before it gets a new request: to the least service among callers that wait,
  // or, when none does, to where the last admission was and to `prefill_floor`, the service that prefill has reached.
  void lift(CallerAccount& caller, double prefill_floor);
  // Puts a request in the queue of its caller.
  void enqueue(RequestState& request);
  // Takes a waiting request out of the queue.
  void dequeue(RequestState& request);

  // The request is admitted with `covered` tokens in memory: charges its prompt the first time, gives back what a
  // longer prefix than before saves.
  void charge_admission(RequestState& request, std::int64_t covered);
  // The context grew to `context`.
  void note_context(RequestState& request, std::int64_t context);
  void charge_generated(RequestState& request, std::int64_t tokens);
  // Gives back what was charged for a prompt that is never computed.
  void refund(RequestState& request);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };

  void close_idle();
  void add_service(CallerAccount& caller, double service);
  void note_head(CallerAccount& caller);

  static constexpr std::size_t kMinAccountsKept = 4096;

  const SchedulerOptions& options_;
  std::size_t close_idle_at_ = kMinAccountsKept;
  std::unordered_map<std::string, std::unique_ptr<CallerAccount>, Hash, std::equal_to<>> accounts_;
  std::vector<WaitingCaller> waiting_;
  // Service of the caller that was admitted last, before its charge: where one that comes to an empty queue starts.
  double last_admitted_service_ = 0;
};

}  // namespace mlxr
