#include "daemon/scheduler/caller_account.h"

#include <algorithm>

#include "core/base/check.h"

namespace mlxr {
CallerAccount& CallerAccounts::account(std::string_view key) {
  const auto found = accounts_.find(key);
  if (found != accounts_.end()) return *found->second;
  if (accounts_.size() >= close_idle_at_) close_idle();
  auto account = std::make_unique<CallerAccount>();
  account->key = key;
  const auto weight = options_.caller_weights.find(key);
  if (weight != options_.caller_weights.end()) account->weight = weight->second;
  CallerAccount& result = *account;
  accounts_.emplace(result.key, std::move(account));
  return result;
}

const CallerAccount* CallerAccounts::find(std::string_view key) const {
  const auto found = accounts_.find(key);
  return found == accounts_.end() ? nullptr : found->second.get();
}

// Forgets idle callers. Half of them stay, those that have had the most: the others would be lifted most when they come
// back, and lose nothing by it.
void CallerAccounts::close_idle() {
  std::vector<CallerAccount*> idle;
  for (const auto& [key, account] : accounts_)
    if (account->waiting.empty() && account->running == 0) idle.push_back(account.get());
  std::sort(idle.begin(), idle.end(), [](const CallerAccount* a, const CallerAccount* b) {
    return a->service != b->service ? a->service < b->service : a->key < b->key;
  });
  idle.resize((idle.size() + 1) / 2);
  for (const CallerAccount* account : idle)
    accounts_.erase(accounts_.find(account->key));
  // Where most are busy, the next search waits until there are twice as many.
  close_idle_at_ = std::max(kMinAccountsKept, 2 * accounts_.size());
}

void CallerAccounts::lift(CallerAccount& caller, double prefill_floor) {
  if (!caller.waiting.empty()) return;
  double floor = std::max(last_admitted_service_, prefill_floor);
  if (!waiting_.empty()) {
    floor = waiting_[0].service;
    for (const WaitingCaller& other : waiting_)
      floor = std::min(floor, other.service);
  }
  caller.service = std::max(caller.service, floor);
}

void CallerAccounts::enqueue(RequestState& request) {
  CallerAccount& caller = *request.caller;
  if (caller.waiting.empty()) {
    caller.waiting_index = waiting_.size();
    waiting_.push_back({.caller = &caller, .service = caller.service});
  }
  const bool added = caller.waiting.insert(&request).second;
  MLXR_CHECK(added, "a request waits once");
  note_head(caller);
}

void CallerAccounts::dequeue(RequestState& request) {
  CallerAccount& caller = *request.caller;
  const std::size_t erased = caller.waiting.erase(&request);
  MLXR_CHECK(erased == 1, "the request waits");
  if (!caller.waiting.empty()) return note_head(caller);
  waiting_.back().caller->waiting_index = caller.waiting_index;
  waiting_[caller.waiting_index] = waiting_.back();
  waiting_.pop_back();
}

void CallerAccounts::note_head(CallerAccount& caller) {
  const RequestState& head = **caller.waiting.begin();
  WaitingCaller& entry = waiting_[caller.waiting_index];
  entry.wait_key = head.wait_key;
  entry.order = head.order;
  entry.priority = head.request.priority;
}

void CallerAccounts::add_service(CallerAccount& caller, double service) {
  caller.service += service;
  if (!caller.waiting.empty()) waiting_[caller.waiting_index].service = caller.service;
}

void CallerAccounts::charge_admission(RequestState& request, std::int64_t covered) {
  CallerAccount& caller = *request.caller;
  const std::int64_t prompt = request.request.prompt_tokens;
  const double cost = options_.prompt_token_cost / caller.weight;
  if (!request.charged) {
    request.charged = true;
    request.start_service = caller.service;
    last_admitted_service_ = caller.service;
    add_service(caller, cost * static_cast<double>(prompt - std::min(covered, prompt)));
    request.furthest = covered;
  } else if (covered > request.furthest) {
    add_service(caller, -cost * static_cast<double>(std::min(covered, prompt) - std::min(request.furthest, prompt)));
    request.furthest = covered;
  }
}

void CallerAccounts::note_context(RequestState& request, std::int64_t context) {
  if (context <= request.furthest) return;
  const std::int64_t prompt = request.request.prompt_tokens;
  request.caller->prompt_tokens += std::min(context, prompt) - std::min(request.furthest, prompt);
  request.furthest = context;
}

void CallerAccounts::charge_generated(RequestState& request, std::int64_t tokens) {
  CallerAccount& caller = *request.caller;
  caller.generated_tokens += tokens;
  add_service(caller, options_.generated_token_cost * static_cast<double>(tokens) / caller.weight);
}

void CallerAccounts::refund(RequestState& request) {
  const std::int64_t prompt = request.request.prompt_tokens;
  if (!request.charged || request.furthest >= prompt) return;
  const auto tokens = static_cast<double>(prompt - request.furthest);
  add_service(*request.caller, -options_.prompt_token_cost * tokens / request.caller->weight);
  request.furthest = prompt;
}

}  // namespace mlxr
