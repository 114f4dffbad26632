#include "core/runtime/sampler/sampler.h"

#include <limits>
#include <random>
#include <string_view>

#include "core/base/check.h"
#include "core/runtime/sampler/exponential.h"

namespace mlxr {
namespace {

struct StageRow {
  std::string_view spelling;
  StageMaker make;
  StageRole role;
};

constexpr StageRow kStages[] = {
#define MLXR_STAGE(name, spelling, role) {spelling, make_##name##_stage, StageRole::role},
#include "core/runtime/sampler/stages.def"
#undef MLXR_STAGE
};

constexpr Candidates::Draw kNotDrawn{kNoCandidate, 1.0};

std::uint64_t fresh_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

// The stages that have a place in SamplingParams::samplers, in the order asked for.
std::vector<const StageRow*> ordered_rows(const SamplingParams& params) {
  std::vector<const StageRow*> rows;
  for (const std::string& name : params.samplers ? *params.samplers : sampler_names()) {
    const auto spelling = canonical_sampler_name(name);
    for (const StageRow& row : kStages) {
      if (row.spelling == spelling) rows.push_back(&row);
    }
  }
  return rows;
}

}  // namespace

Result<Sampler> Sampler::make(const SamplingParams& params, SamplingVocabulary* vocabulary) {
  MLXR_RETURN_IF_ERROR(params.validate(vocabulary != nullptr ? vocabulary->size() : 0));
  if (vocabulary == nullptr && params.needs_vocabulary()) {
    return unsupported("bad_words, ignore_eos and min_tokens need a model with a tokenizer");
  }
  return Sampler(params, vocabulary);
}

Sampler::Sampler(const SamplingParams& params, SamplingVocabulary* vocabulary)
    : greedy_(params.greedy()), seed_(params.seed ? *params.seed : fresh_seed()) {
  add_stages({params, vocabulary});
}

void Sampler::add_stages(const StageContext& context) {
  const auto add = [&](const StageRow& row) {
    if (auto stage = row.make(context)) stages_.push_back(std::move(stage));
  };
  for (const StageRow& row : kStages) {
    if (row.role == StageRole::kRule) add(row);
  }
  num_rules_ = stages_.size();
  for (const StageRow* row : ordered_rows(context.params)) {
    if (greedy_ && row->role != StageRole::kPenalty) continue;
    if (context.params.mirostat != 0 && row->role == StageRole::kCut) continue;
    add(*row);
  }
  for (const StageRow& row : kStages) {
    if (row.role == StageRole::kMirostat && !greedy_) add(row);
  }
}

bool Sampler::run_stages(std::span<const float> logits, TokenMask allowed) {
  candidates_.assign(logits, allowed);
  const SequenceView sequence = view();
  for (std::size_t i = 0; i < num_rules_; ++i)
    stages_[i]->apply(candidates_, sequence);
  if (candidates_.highest() == -std::numeric_limits<float>::infinity()) return false;
  for (std::size_t i = num_rules_; i < stages_.size(); ++i)
    stages_[i]->apply(candidates_, sequence);
  if (greedy_) candidates_.keep_best(1);
  return true;
}

Result<TokenId> Sampler::sample(std::span<const float> logits, TokenMask allowed) {
  if (greedy_ && stages_.empty()) {
    drawn_ = {most_likely(logits, allowed), 1.0};
  } else if (!run_stages(logits, allowed)) {
    drawn_ = kNotDrawn;
  } else {
    drawn_ = candidates_.at(greedy_ ? 0.0 : view().random(RandomUse::kToken));
  }
  if (drawn_.token != kNoCandidate) return drawn_.token;
  return invalid_argument(
      "no token can come next: each is forbidden by the grammar, by logit_bias, bad_words, ignore_eos or min_tokens, "
      "or "
      "has no finite logit");
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits, TokenMask allowed) {
  if (!run_stages(logits, allowed)) return {};
  const double sum = candidates_.weight_sum();
  const float top = candidates_.highest();
  std::vector<TokenProbability> made;
  for (const Candidate& candidate : candidates_.best(candidates_.size())) {
    made.push_back({candidate.token, static_cast<double>(exp_negative(candidate.logit - top)) / sum});
  }
  return made;
}

void Sampler::accept_prompt(std::span<const TokenId> tokens) {
  MLXR_CHECK(num_generated() == 0, "the prompt comes before generated tokens");
  tokens_.reserve(tokens_.size() + tokens.size());
  for (const TokenId token : tokens) {
    tokens_.push_back(token);
    num_prompt_ = tokens_.size();
    for (const auto& stage : stages_)
      stage->accept(view(), 1.0);
  }
}

void Sampler::accept(TokenId token) {
  const double probability = drawn_.token == token ? drawn_.probability : 1.0;
  drawn_ = kNotDrawn;
  tokens_.push_back(token);
  for (const auto& stage : stages_)
    stage->accept(view(), probability);
}

void Sampler::rollback(std::int64_t num_tokens) {
  MLXR_CHECK(num_tokens >= 0 && num_tokens <= num_generated(), "more tokens taken back than were generated");
  drawn_ = kNotDrawn;
  for (std::int64_t i = 0; i < num_tokens; ++i) {
    for (const auto& stage : stages_)
      stage->rollback(view());
    tokens_.pop_back();
  }
}

Sampler Sampler::clone() const {
  Sampler made;
  made.greedy_ = greedy_;
  made.seed_ = seed_;
  made.tokens_ = tokens_;
  made.num_prompt_ = num_prompt_;
  for (const auto& stage : stages_)
    made.stages_.push_back(stage->clone());
  made.num_rules_ = num_rules_;
  made.drawn_ = drawn_;
  return made;
}

Sampler Sampler::clone_for_choice(std::uint64_t index) const {
  Sampler made = clone();
  made.seed_ = choice_seed(seed_, index);
  made.drawn_ = kNotDrawn;
  return made;
}

}  // namespace mlxr
