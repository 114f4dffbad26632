#pragma once
// Speculator: the speculation of one sequence. Asks each of its proposers as far as that one's controller wants, takes
// the proposal that promises the most tokens a second (while costs are not known: the first there is), and learns from
// what became of it. Each step of the engine:
//
//   wanted = speculator.wanted(costs, load, limit)    before the step is planned; 0: nothing
//   plan = speculator.propose(context, costs, load, limit)
//   if plan.draft_tokens > 0: speculator.give(what the draft model proposed, of at most that many)
//   run the step over proposal(), verify; take from its end what a grammar forbids by keep_first()
//   speculator.verified(num_accepted)                 every step that sampled, also without a proposal
//
// The engine thread owns it.

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/runtime/spec/proposer.h"
#include "core/runtime/spec/spec_controller.h"
#include "core/runtime/spec/spec_report.h"

namespace mlxr {

struct SpeculatorOptions {
  SpecOptions control;
  bool draft_model = false;  // after the proposers, the engine has a draft model to ask
};

class Speculator {
 public:
  // The draft model's name in StepCosts.
  static constexpr std::string_view kDraftModel = "draft";

  Speculator(std::vector<std::unique_ptr<Proposer>> proposers, const SpeculatorOptions& options);

  // The most that any of them may propose.
  std::int64_t wanted(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const;

  struct Plan {
    std::int64_t draft_tokens = 0;  // to ask of the draft model; 0: the proposal is made, perhaps an empty one
  };
  // `context` as for Proposer::propose.
  Plan propose(std::span<const TokenId> context, const StepCosts& costs, const SpecLoad& load, std::int64_t limit);
  // What the draft model proposed.
  void give(std::vector<TokenId> tokens) { proposal_ = std::move(tokens); }
  // Only the first `count` of the proposal are run.
  void keep_first(std::int64_t count);
  std::span<const TokenId> proposal() const { return proposal_; }
  // Who made it: a Proposer::name(), or kDraftModel; "" for nobody.
  std::string_view proposed_by() const;

  // The first `num_accepted` of the proposal were right. Forgets the proposal.
  void verified(std::int64_t num_accepted);
  // The sequence was cut back, as for Proposer::truncate.
  void truncate(std::int64_t length);

  const SpecReport& report() const { return report_; }

 private:
  static constexpr std::size_t kNobody = ~std::size_t{0};
  struct Source {
    std::unique_ptr<Proposer> proposer;  // nullptr: the draft model
    SpecController controller;
  };

  std::vector<Source> sources_;
  std::size_t proposer_ = kNobody;  // in sources_
  std::vector<TokenId> proposal_;
  SpecReport report_;
};

// Suffix and n-gram proposers with their usual options. `store` may be nullptr.
class SuffixStore;
std::vector<std::unique_ptr<Proposer>> usual_proposers(const SuffixStore* store);

}  // namespace mlxr
