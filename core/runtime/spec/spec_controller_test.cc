#include "core/runtime/spec/spec_controller.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/runtime/spec/speculator.h"

namespace mlxr {
namespace {

// A step of `rows` rows costs base + per_row * rows.
StepCosts line(double base, double per_row, std::int64_t rows) {
  StepCosts costs;
  for (std::int64_t i = 1; i <= rows; ++i)
    costs.record_step(i, base + per_row * static_cast<double>(i));
  return costs;
}

void train(SpecController& controller, std::int64_t proposed, std::int64_t accepted, int times) {
  for (int i = 0; i < times; ++i)
    controller.record(proposed, accepted);
}

TEST(StepCostsTest, ReadsBetweenWhatItSaw) {
  StepCosts costs;
  EXPECT_FALSE(costs.known());
  EXPECT_EQ(costs.step_seconds(3), 0.0);
  costs.record_step(1, 1.0);
  EXPECT_EQ(costs.step_seconds(1), 1.0);
  EXPECT_EQ(costs.step_seconds(50), 1.0);  // never seen: worth a try
  costs.record_step(5, 3.0);
  EXPECT_DOUBLE_EQ(costs.step_seconds(3), 2.0);
  costs.record_step(9, 2.0);  // less than for 5: noise
  EXPECT_DOUBLE_EQ(costs.step_seconds(9), 3.0);
  costs.record_step(100, 10.0);
  EXPECT_DOUBLE_EQ(costs.step_seconds(100), 10.0);
  EXPECT_GT(costs.step_seconds(60), 3.0);
  EXPECT_LT(costs.step_seconds(60), 10.0);
  EXPECT_EQ(costs.most_rows(), 100);
  for (std::int64_t rows = 1, last = 0; rows < 100000; rows = rows * 9 / 8 + 1, last = rows)
    EXPECT_GE(costs.step_seconds(rows), costs.step_seconds(last)) << rows;
  for (int i = 0; i < 100; ++i)
    costs.record_step(1, 1.5);
  EXPECT_NEAR(costs.step_seconds(1), 1.5, 1e-3);
  costs.record_step(1, 1000.0);  // something else was going on
  EXPECT_LT(costs.step_seconds(1), 2.0);
  costs.record_step(1, -1);
  costs.record_step(1, std::nan(""));
  EXPECT_LT(costs.step_seconds(1), 2.0);
}

TEST(SpecControllerTest, ChoosesTheLengthThatPays) {
  const struct {
    const char* what;
    double per_row;         // beside a base of 1
    double proposal;        // seconds a proposed token
    std::int64_t accepted;  // of 8
    std::int64_t least, most;
  } kCases[] = {
      {"rows are free, all accepted", 0.0, 0.0, 8, 16, 16},
      {"rows are nearly free, all accepted", 0.01, 0.0, 8, 12, 16},
      {"rows are nearly free, three accepted", 0.01, 0.0, 3, 2, 4},
      {"rows cost as much as a step", 1000.0, 0.0, 3, 0, 0},
      {"rows cost half a step, all accepted", 1.0, 0.0, 0, 0, 0},
      {"nothing is accepted", 0.01, 0.0, 0, 0, 0},
      {"the proposal costs more than the step", 0.01, 2.0, 8, 0, 0},
      {"the proposal costs a tenth", 0.01, 0.1, 8, 8, 16},
  };
  for (const auto& entry : kCases) {
    StepCosts costs = line(1.0, entry.per_row, 40);
    costs.record_proposal("draft", 10, 10 * entry.proposal);
    SpecController controller("draft");
    train(controller, 8, entry.accepted, 50);
    const std::int64_t count = controller.num_tokens(costs, {}, 100);
    EXPECT_GE(count, entry.least) << entry.what;
    EXPECT_LE(count, entry.most) << entry.what;
    EXPECT_LE(controller.num_tokens(costs, {}, 2), 2);
    EXPECT_EQ(controller.num_tokens(costs, {}, 0), 0);
  }
}

// The choice is the best of all lengths by the formula.
TEST(SpecControllerTest, IsTheBestRate) {
  const StepCosts costs = line(1.0, 0.08, 80);
  for (const std::int64_t accepted : {0, 1, 2, 4, 8, 12}) {
    for (const std::int64_t others : {0, 3, 30}) {
      SpecController controller("suffix");
      train(controller, 12, accepted, 30);
      const SpecLoad load{others, static_cast<double>(others)};
      const auto rate = [&](std::int64_t k) {
        return (load.tokens + controller.expected_tokens(k)) / costs.step_seconds(others + 1 + k);
      };
      const std::int64_t chosen = controller.num_tokens(costs, load, 16);
      for (std::int64_t k = 0; k <= 16; ++k)
        EXPECT_GE(rate(chosen) * 1.031, rate(k)) << accepted << " " << others << " " << k;
    }
  }
}

// A full batch has no idle rows: what is worth it alone is not in company.
TEST(SpecControllerTest, CompanyTurnsItOff) {
  StepCosts costs;
  for (std::int64_t rows = 1; rows <= 200; ++rows)
    costs.record_step(rows, std::max(1.0, static_cast<double>(rows) / 16));
  SpecController controller("ngram");
  train(controller, 4, 1, 50);
  EXPECT_GT(controller.num_tokens(costs, {}, 16), 0);
  EXPECT_EQ(controller.num_tokens(costs, {.rows = 63, .tokens = 63}, 16), 0);
}

TEST(SpecControllerTest, ProbesEverMoreRarelyWhenOff) {
  const StepCosts costs = line(1.0, 0.3, 20);
  SpecController controller("suffix");
  train(controller, 4, 0, 30);
  std::vector<int> probes;
  for (int step = 0; step < 2000; ++step) {
    const std::int64_t count = controller.num_tokens(costs, {}, 16);
    if (count > 0) probes.push_back(step);
    controller.record(count, 0);
  }
  ASSERT_GE(probes.size(), 3U);
  EXPECT_LE(probes.size(), 8U);
  for (std::size_t i = 2; i < probes.size(); ++i)
    EXPECT_GT(probes[i] - probes[i - 1], probes[i - 1] - probes[i - 2]);
  // What has become right is found out.
  int on = 0;
  for (int step = 0; step < 4000; ++step) {
    const std::int64_t count = controller.num_tokens(costs, {}, 16);
    controller.record(count, count);
    if (step >= 3900) on += count > 0 ? 1 : 0;
  }
  EXPECT_EQ(on, 100);
}

TEST(SpecControllerTest, LooksAtMostTwiceAsFarAsItKnows) {
  StepCosts costs;
  SpecController controller("suffix");
  EXPECT_EQ(controller.num_tokens(costs, {}, 16), 4);  // no cost is known
  costs.record_step(1, 1.0);
  EXPECT_EQ(controller.num_tokens(costs, {}, 16), 1);
  costs.record_step(5, 1.0);
  EXPECT_EQ(controller.num_tokens(costs, {}, 16), 9);
}

TEST(SpecControllerTest, AnUnseenPositionCountsAsTheOneBefore) {
  SpecController controller("suffix");
  EXPECT_NEAR(controller.acceptance(5), 0.7, 1e-12);
  train(controller, 2, 2, 200);
  EXPECT_GT(controller.acceptance(1), 0.95);
  EXPECT_NEAR(controller.acceptance(2), controller.acceptance(1), 1e-12);
  train(controller, 4, 2, 200);
  EXPECT_LT(controller.acceptance(2), 0.1);
  EXPECT_GT(controller.acceptance(1), 0.95);
  EXPECT_NEAR(controller.expected_tokens(2), 3, 0.1);
}

// Proposes one fixed token, or nothing.
class FixedProposer : public Proposer {
 public:
  FixedProposer(std::string_view name, std::vector<TokenId> tokens) : name_(name), tokens_(std::move(tokens)) {}
  std::string_view name() const override { return name_; }
  std::vector<TokenId> propose(std::span<const TokenId>, std::int64_t max_tokens) override {
    auto tokens = tokens_;
    tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(max_tokens)));
    return tokens;
  }
  void truncate(std::int64_t /*length*/) override {}

 private:
  std::string_view name_;
  std::vector<TokenId> tokens_;
};

TEST(SpeculatorTest, TakesTheBestAndReports) {
  StepCosts costs = line(1.0, 0.01, 40);
  costs.record_proposal(Speculator::kDraftModel, 1, 0.2);
  std::vector<std::unique_ptr<Proposer>> proposers;
  proposers.push_back(std::make_unique<FixedProposer>("silent", std::vector<TokenId>{}));
  proposers.push_back(std::make_unique<FixedProposer>("wrong", std::vector<TokenId>{1, 2, 3}));
  Speculator speculator(std::move(proposers), {.control = {}, .draft_model = true});
  const std::vector<TokenId> context = {5, 6};
  EXPECT_GT(speculator.wanted(costs, {}, 16), 0);
  EXPECT_EQ(speculator.wanted(costs, {}, 0), 0);

  EXPECT_EQ(speculator.propose(context, costs, {}, 16).draft_tokens, 0);
  EXPECT_EQ(speculator.proposed_by(), "wrong");
  speculator.keep_first(2);
  EXPECT_EQ(speculator.proposal().size(), 2U);
  speculator.verified(1);
  EXPECT_TRUE(speculator.proposal().empty());
  EXPECT_EQ(speculator.report().proposed_at, (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(speculator.report().accepted_at, (std::vector<std::int64_t>{1, 0}));

  // The wrong one turns itself off, and the draft model is asked.
  std::int64_t drafted = 0;
  for (int i = 0; i < 60; ++i) {
    const auto plan = speculator.propose(context, costs, {}, 16);
    if (plan.draft_tokens > 0) {
      speculator.give(std::vector<TokenId>(static_cast<std::size_t>(plan.draft_tokens), 7));
      EXPECT_EQ(speculator.proposed_by(), Speculator::kDraftModel);
      speculator.verified(plan.draft_tokens);
      ++drafted;
    } else {
      speculator.verified(0);
    }
  }
  EXPECT_GT(drafted, 40);
  const SpecReport& report = speculator.report();
  EXPECT_EQ(report.steps, 61);
  EXPECT_GT(report.acceptance(), 0.8);
  EXPECT_GT(report.mean_accepted(), 5);
  EXPECT_EQ(report.acceptance_at(100), 0.0);
  EXPECT_LE(report.acceptance_at(0), 1.0);
}

}  // namespace
}  // namespace mlxr
