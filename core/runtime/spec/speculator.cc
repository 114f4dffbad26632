#include "core/runtime/spec/speculator.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/runtime/spec/ngram_proposer.h"
#include "core/runtime/spec/suffix_proposer.h"

namespace mlxr {

Speculator::Speculator(std::vector<std::unique_ptr<Proposer>> proposers, const SpeculatorOptions& options) {
  for (auto& proposer : proposers) {
    SpecController controller(std::string(proposer->name()), options.control);
    sources_.push_back({std::move(proposer), std::move(controller)});
  }
  if (options.draft_model) {
    sources_.push_back({nullptr, SpecController(std::string(kDraftModel), options.control)});
  }
}

std::int64_t Speculator::wanted(const StepCosts& costs, const SpecLoad& load, std::int64_t limit) const {
  std::int64_t most = 0;
  for (const Source& source : sources_)
    most = std::max(most, source.controller.num_tokens(costs, load, limit));
  return most;
}

Speculator::Plan Speculator::propose(std::span<const TokenId> context, const StepCosts& costs, const SpecLoad& load,
                                     std::int64_t limit) {
  proposal_.clear();
  proposer_ = kNobody;
  std::int64_t draft_tokens = 0;
  double best_rate = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const SpecController& controller = sources_[i].controller;
    std::int64_t count = controller.num_tokens(costs, load, limit);
    if (count == 0) continue;
    std::vector<TokenId> tokens;
    if (sources_[i].proposer != nullptr) {
      tokens = sources_[i].proposer->propose(context, count);
      count = static_cast<std::int64_t>(tokens.size());
      if (count == 0) continue;
    }
    const double rate = costs.known() ? controller.rate(costs, load, count) : 0.0;
    if (proposer_ != kNobody && rate <= best_rate && !controller.probe_due()) continue;
    best_rate = rate;
    proposer_ = i;
    draft_tokens = sources_[i].proposer == nullptr ? count : 0;
    proposal_ = std::move(tokens);
    if (controller.probe_due()) break;
  }
  return {.draft_tokens = draft_tokens};
}

void Speculator::keep_first(std::int64_t count) {
  proposal_.resize(std::min(proposal_.size(), static_cast<std::size_t>(count)));
}

std::string_view Speculator::proposed_by() const {
  if (proposer_ == kNobody || proposal_.empty()) return "";
  const Source& source = sources_[proposer_];
  return source.proposer == nullptr ? kDraftModel : source.proposer->name();
}

void Speculator::verified(std::int64_t num_accepted) {
  const auto proposed = static_cast<std::int64_t>(proposal_.size());
  MLXR_CHECK(num_accepted >= 0 && num_accepted <= proposed, "more tokens accepted than were proposed");
  report_.add(proposed, num_accepted);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const bool was_asked = i == proposer_;
    sources_[i].controller.record(was_asked ? proposed : 0, was_asked ? num_accepted : 0);
  }
  proposal_.clear();
  proposer_ = kNobody;
}

void Speculator::truncate(std::int64_t length) {
  for (Source& source : sources_) {
    if (source.proposer != nullptr) source.proposer->truncate(length);
  }
}

std::vector<std::unique_ptr<Proposer>> usual_proposers(const SuffixStore* store) {
  std::vector<std::unique_ptr<Proposer>> proposers;
  proposers.push_back(std::make_unique<SuffixProposer>(SuffixOptions{}, store));
  proposers.push_back(std::make_unique<NgramProposer>());
  return proposers;
}

}  // namespace mlxr
