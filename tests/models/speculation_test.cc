// Speculation on the starter model and its draft model: the same tokens as without, for greedy decoding and for a seed.

#include <gtest/gtest.h>

#include "core/runtime/loaded_model.h"
#include "core/runtime/spec/draft_model.h"
#include "core/runtime/spec/speculator.h"
#include "core/runtime/spec/suffix_proposer.h"
#include "core/runtime/spec/verify.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using Tokens = std::vector<TokenId>;

// Of a machine on which more rows cost little: speculation is on whenever something is accepted.
StepCosts cheap_rows() {
  StepCosts costs;
  for (std::int64_t rows = 1; rows <= 9; ++rows)
    costs.record_step(rows, 1.0 + 0.01 * static_cast<double>(rows));
  costs.record_proposal(Speculator::kDraftModel, 1, 0.02);
  return costs;
}

std::unique_ptr<LoadedModel> open(const std::string& name) {
  Result<std::unique_ptr<LoadedModel>> model = LoadedModel::open(test::sprout(name), {.num_threads = 2});
  EXPECT_TRUE(model.ok()) << model.status().message();
  return std::move(model).value();
}

class SproutSpeculation : public testing::Test {
 protected:
  SproutSpeculation() : target_(open("sprout-28m-q5_k_m.gguf")), draft_(open("sprout-draft-3m-q8_0.gguf")) {
    prompt_ = target_->tokenizer()->encode("Once upon a time, there was a little fox who", {.add_special = true});
  }

  std::int64_t vocab() const { return target_->model().config().vocab_size; }

  // Reads the tokens after the present end of the sequence; logits of each, or of the last.
  std::vector<float> read(SequenceId sequence, std::span<const TokenId> tokens, RowsWanted wanted) {
    const SequencePiece piece{sequence, tokens, wanted};
    std::vector<float> logits;
    const Status status = target_->runner().run({&piece, 1}, logits);
    EXPECT_TRUE(status.ok()) << status.message();
    return logits;
  }

  Tokens plainly(const SamplingParams& params, std::size_t count) {
    Sampler sampler(params);
    sampler.accept_prompt(prompt_);
    const SequenceId sequence = *target_->cache().open();
    std::vector<float> logits = read(sequence, prompt_, RowsWanted::kLast);
    Tokens tokens;
    while (tokens.size() < count) {
      const Result<TokenId> token = sampler.sample(logits);
      sampler.accept(*token);
      tokens.push_back(*token);
      logits = read(sequence, {&tokens.back(), 1}, RowsWanted::kLast);
    }
    target_->cache().close(sequence);
    return tokens;
  }

  Tokens speculating(const SamplingParams& params, std::size_t count, bool draft_model, SpecReport& report) {
    Sampler sampler(params);
    sampler.accept_prompt(prompt_);
    DraftModel drafts(draft_->cache(), draft_->runner(),
                      {.vocab_size = draft_->model().config().vocab_size, .target_vocab = vocab()});
    const SequenceId draft_sequence = *drafts.open();
    const SequenceId sequence = *target_->cache().open();
    const StepCosts costs = cheap_rows();
    Speculator speculator(usual_proposers(nullptr), {.control = {.max_tokens = 8}, .draft_model = draft_model});
    Tokens context = prompt_;
    read(sequence, std::span(prompt_).first(prompt_.size() - 1), RowsWanted::kNone);
    while (context.size() < prompt_.size() + count) {
      const auto plan = speculator.propose(context, costs, {}, 8);
      if (plan.draft_tokens > 0) {
        DraftRequest request{draft_sequence, context, plan.draft_tokens, sampler.greedy() ? nullptr : &sampler};
        EXPECT_TRUE(drafts.propose({&request, 1}).ok());
        speculator.give(request.proposed);
      }
      Tokens rows = {context.back()};
      rows.insert(rows.end(), speculator.proposal().begin(), speculator.proposal().end());
      const std::vector<float> logits = read(sequence, rows, RowsWanted::kAll);
      const Result<Verified> verified = verify_proposal(sampler, speculator.proposal(), {logits, vocab()});
      EXPECT_TRUE(verified.ok());
      context.insert(context.end(), verified->tokens.begin(), verified->tokens.end());
      target_->cache().truncate(sequence, static_cast<std::int64_t>(context.size()) - 1);
      speculator.verified(verified->num_accepted);
    }
    report = speculator.report();
    target_->cache().close(sequence);
    return {context.begin() + static_cast<std::ptrdiff_t>(prompt_.size()),
            context.begin() + static_cast<std::ptrdiff_t>(prompt_.size() + count)};
  }

  std::unique_ptr<LoadedModel> target_, draft_;
  Tokens prompt_;
};

TEST_F(SproutSpeculation, GivesTheSameTokens) {
  ASSERT_TRUE(check_draft_vocabulary(*target_->tokenizer(), *draft_->tokenizer()).ok());
  std::vector<SamplingParams> cases(3);
  cases[0].temperature = 0;
  cases[1].seed = 5;
  cases[2].seed = 6;
  cases[2].temperature = 1.1F;
  cases[2].repetition_penalty = 1.1F;
  for (const SamplingParams& params : cases) {
    const Tokens expected = plainly(params, 96);
    for (const bool draft_model : {true, false}) {
      SpecReport report;
      EXPECT_EQ(speculating(params, 96, draft_model, report), expected);
      EXPECT_GT(report.proposed, report.accepted);
      EXPECT_GE(report.accepted, draft_model ? 15 : 0);
    }
  }
}

// Many contexts one after the other, cut back, longer than a chunk, too long for the cache.
TEST_F(SproutSpeculation, TheDraftModelFollowsItsSequence) {
  const DraftOptions options{.vocab_size = draft_->model().config().vocab_size,
                             .target_vocab = vocab(),
                             .min_probability = 0,
                             .chunk_tokens = 5};
  DraftModel drafts(draft_->cache(), draft_->runner(), options);
  const SequenceId sequence = *drafts.open();
  const auto propose = [&](const Tokens& context, std::int64_t count) {
    DraftRequest request{sequence, context, count};
    const Status status = drafts.propose({&request, 1});
    EXPECT_TRUE(status.ok()) << status.message();
    return request.proposed;
  };
  const Tokens eight = propose(prompt_, 8);
  ASSERT_EQ(eight.size(), 8U);
  EXPECT_EQ(propose(prompt_, 8), eight);
  EXPECT_EQ(propose(prompt_, 3), Tokens(eight.begin(), eight.begin() + 3));
  Tokens longer = prompt_;
  longer.insert(longer.end(), eight.begin(), eight.begin() + 4);
  EXPECT_EQ(propose(longer, 4), Tokens(eight.begin() + 4, eight.end()));
  EXPECT_EQ(propose({prompt_[0]}, 2).size(), 2U);
  EXPECT_EQ(propose(longer, 4), Tokens(eight.begin() + 4, eight.end()));
  const Tokens full(static_cast<std::size_t>(draft_->cache().max_length()) + 1, prompt_[0]);
  EXPECT_TRUE(propose(full, 4).empty());
  EXPECT_TRUE(propose(prompt_, 0).empty());
  EXPECT_EQ(propose(prompt_, 8), eight);
  drafts.close(sequence);
}

}  // namespace
}  // namespace mlxr
