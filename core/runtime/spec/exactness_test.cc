// Speculation changes no token: against generation one by one, with a small table in the model's place.

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/runtime/spec/speculator.h"
#include "core/runtime/spec/suffix_proposer.h"
#include "core/runtime/spec/verify.h"

namespace mlxr {
namespace {

constexpr std::int64_t kVocab = 12;
using Tokens = std::vector<TokenId>;

// Logits after a text: random numbers of its last two tokens. Some pairs have one clear successor.
std::vector<float> logits_after(std::span<const TokenId> context) {
  std::uint64_t state = 17;
  for (const TokenId token : context.last(std::min<std::size_t>(context.size(), 2)))
    state = state * 31 + static_cast<std::uint64_t>(token) + 1;
  std::vector<float> logits(static_cast<std::size_t>(kVocab));
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(3 * random_unit(state, i, RandomUse::kXtc));
  if (state % 3 != 0) logits[state % kVocab] += 4;
  return logits;
}

// What the model gives for the last known token and each proposed one.
std::vector<float> verify_rows(Tokens context, std::span<const TokenId> proposed) {
  std::vector<float> rows = logits_after(context);
  for (const TokenId token : proposed) {
    context.push_back(token);
    const std::vector<float> row = logits_after(context);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  return rows;
}

const Tokens kPrompt = {1, 2, 3, 4, 1, 2, 3};

Tokens generate_plainly(const SamplingParams& params, std::size_t count) {
  Sampler sampler(params);
  sampler.accept_prompt(kPrompt);
  Tokens tokens = kPrompt;
  while (tokens.size() < kPrompt.size() + count) {
    const Result<TokenId> token = sampler.sample(logits_after(tokens));
    EXPECT_TRUE(token.ok());
    sampler.accept(*token);
    tokens.push_back(*token);
  }
  return tokens;
}

// Proposes what is right often enough to be accepted, and wrong often enough to be refused.
class GuessingProposer : public Proposer {
 public:
  std::string_view name() const override { return "guess"; }
  Tokens propose(std::span<const TokenId> context, std::int64_t max_tokens) override {
    Tokens all(context.begin(), context.end());
    Tokens proposed;
    while (static_cast<std::int64_t>(proposed.size()) < max_tokens) {
      const TokenId likely = most_likely(logits_after(all));
      proposed.push_back(random_() % 5 == 0 ? static_cast<TokenId>(random_() % kVocab) : likely);
      all.push_back(proposed.back());
    }
    return proposed;
  }
  void truncate(std::int64_t /*length*/) override {}

 private:
  std::mt19937_64 random_{3};
};

std::vector<std::unique_ptr<Proposer>> proposers(const std::string& kind, const SuffixStore* store) {
  std::vector<std::unique_ptr<Proposer>> made;
  if (kind == "usual") return usual_proposers(store);
  made.push_back(std::make_unique<GuessingProposer>());
  return made;
}

Tokens generate_speculating(const SamplingParams& params, std::size_t count, const std::string& kind,
                            SpecReport* report) {
  SuffixStore store;
  store.add(generate_plainly(params, 40));
  Sampler sampler(params);
  sampler.accept_prompt(kPrompt);
  Speculator speculator(proposers(kind, &store), {.control = {.max_tokens = 6, .first_tokens = 6}});
  const StepCosts costs;
  Tokens tokens = kPrompt;
  while (tokens.size() < kPrompt.size() + count) {
    speculator.propose(tokens, costs, {}, 6);
    const auto proposed = speculator.proposal();
    const std::vector<float> rows = verify_rows(tokens, proposed);
    const Result<Verified> verified = verify_proposal(sampler, proposed, {rows, kVocab});
    EXPECT_TRUE(verified.ok());
    EXPECT_EQ(verified->tokens.size(), static_cast<std::size_t>(verified->num_accepted) + 1);
    tokens.insert(tokens.end(), verified->tokens.begin(), verified->tokens.end());
    speculator.verified(verified->num_accepted);
  }
  tokens.resize(kPrompt.size() + count);
  if (report != nullptr) *report = speculator.report();
  return tokens;
}

std::vector<SamplingParams> sampling_cases() {
  SamplingParams greedy;
  greedy.temperature = 0;
  SamplingParams penalised = greedy;
  penalised.repetition_penalty = 1.3F;
  penalised.dry_multiplier = 0.8F;
  SamplingParams sampled;
  sampled.temperature = 1;
  SamplingParams busy;
  busy.temperature = 1.2F;
  busy.xtc_probability = 0.5F;
  busy.frequency_penalty = 0.2F;
  busy.penalty_last_n = 9;
  busy.dry_multiplier = 0.5F;
  SamplingParams steady;
  steady.mirostat = 2;
  steady.mirostat_tau = 2;
  return {greedy, penalised, sampled, busy, steady};
}

TEST(SpeculationTest, TheSameSeedGivesTheSameTokens) {
  std::int64_t accepted = 0;
  std::int64_t refused = 0;
  for (SamplingParams params : sampling_cases()) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      params.seed = seed;
      const Tokens expected = generate_plainly(params, 300);
      for (const std::string kind : {"usual", "guess"}) {
        SpecReport report;
        EXPECT_EQ(generate_speculating(params, 300, kind, &report), expected) << kind << " " << seed;
        accepted += report.accepted;
        refused += report.proposed - report.accepted;
      }
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

// The distribution of the fourth token, whatever stood before, with and without speculation, of many seeds. Two samples
// of one distribution: the statistic has as many degrees of freedom as cells less one, and exceeds k + 6 sqrt(2 k) less
// than once in a million.
TEST(SpeculationTest, KeepsTheDistribution) {
  SamplingParams params;
  params.temperature = 1.1F;
  constexpr std::uint64_t kRuns = 4000;
  for (const std::string kind : {"usual", "guess"}) {
    std::map<TokenId, double> plain;
    std::map<TokenId, double> speculated;
    for (std::uint64_t run = 0; run < kRuns; ++run) {
      params.seed = run;
      ++plain[generate_plainly(params, 4).back()];
      params.seed = run + kRuns;  // other random numbers: the samples are independent
      ++speculated[generate_speculating(params, 4, kind, nullptr).back()];
    }
    double statistic = 0;
    int cells = 0;
    for (TokenId token = 0; token < kVocab; ++token) {
      const double sum = plain[token] + speculated[token];
      if (sum < 10) continue;
      statistic += std::pow(plain[token] - speculated[token], 2) / sum;
      ++cells;
    }
    const double freedom = cells - 1;
    EXPECT_GT(cells, 5);
    EXPECT_LT(statistic, freedom + 6 * std::sqrt(2 * freedom)) << kind;
  }
}

TEST(VerifyTest, StopsWhereTheAnswerEndsAndAtAMask) {
  SamplingParams params;
  params.temperature = 0;
  Sampler sampler(params);
  const Tokens context = {1, 2};
  Tokens likely;
  for (Tokens all = context; likely.size() < 4; all.push_back(likely.back()))
    likely.push_back(most_likely(logits_after(all)));
  const std::vector<float> rows = verify_rows(context, std::span(likely).first(3));
  const VerifyRows all_rows{rows, kVocab};

  const Result<Verified> whole = verify_proposal(sampler, std::span(likely).first(3), all_rows);
  EXPECT_EQ(whole->tokens, likely);
  EXPECT_EQ(whole->num_accepted, 3);
  sampler.rollback(sampler.num_generated());

  Tokens taken;
  const VerifyHooks two{.allowed = [] { return TokenMask{}; },
                        .take =
                            [&taken](TokenId token, std::span<const float>) {
                              taken.push_back(token);
                              return taken.size() < 2;
                            }};
  const Result<Verified> ended = verify_proposal(sampler, std::span(likely).first(3), all_rows, two);
  EXPECT_EQ(ended->tokens, Tokens(likely.begin(), likely.begin() + 2));
  EXPECT_EQ(ended->num_accepted, 2);
  EXPECT_EQ(taken, ended->tokens);
  sampler.rollback(sampler.num_generated());

  const std::vector<std::uint64_t> others = {~(std::uint64_t{1} << likely[0])};
  const Result<Verified> masked = verify_proposal(sampler, std::span(likely).first(3), all_rows,
                                                  {.allowed = [&others] { return TokenMask(others); },
                                                   .take = [](TokenId, std::span<const float>) { return true; }});
  EXPECT_EQ(masked->num_accepted, 0);
  EXPECT_NE(masked->tokens[0], likely[0]);
}

}  // namespace
}  // namespace mlxr
