// Proposers against their definitions, computed by looking at the whole text each time.

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/runtime/spec/ngram_proposer.h"
#include "core/runtime/spec/suffix_proposer.h"

namespace mlxr {
namespace {

using Tokens = std::vector<TokenId>;

Tokens random_text(std::uint64_t seed, std::size_t length, TokenId vocab) {
  std::mt19937_64 random(seed);
  Tokens tokens;
  while (tokens.size() < length) {
    if (tokens.size() > 8 && random() % 3 == 0) {  // repeat something
      const std::size_t from = random() % (tokens.size() - 4);
      for (std::size_t i = 0; i < 2 + random() % 6 && from + i < tokens.size(); ++i)
        tokens.push_back(tokens[from + i]);
    } else {
      tokens.push_back(static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocab)));
    }
  }
  tokens.resize(length);
  return tokens;
}

std::size_t common_end(std::span<const TokenId> text, std::size_t end) {
  std::size_t count = 0;
  while (count < end && text[end - 1 - count] == text[text.size() - 1 - count])
    ++count;
  return count;
}

TEST(NgramProposerTest, FollowsTheLongestAndLatestMatch) {
  const struct {
    Tokens context;
    std::int64_t max;
    Tokens expected;
  } kCases[] = {
      {{}, 4, {}},
      {{1}, 4, {}},
      {{1, 2, 3}, 4, {}},
      {{1, 2, 3, 1, 2}, 2, {3, 1}},
      {{1, 2, 3, 1, 2}, 8, {3, 1, 2, 3, 1, 2, 3, 1}},        // goes on past the end with the period
      {{1, 2, 3, 9, 1, 2, 4, 9, 1, 2}, 1, {4}},              // the latest of equals
      {{0, 1, 2, 3, 9, 8, 1, 2, 4, 7, 0, 1, 2}, 2, {3, 9}},  // the longest of all
      {{5, 5, 5, 5}, 3, {5, 5, 5}},
      {{1, 2, 3, 1, 2}, 0, {}},
  };
  for (const auto& entry : kCases) {
    NgramProposer proposer;
    EXPECT_EQ(proposer.propose(entry.context, entry.max), entry.expected);
  }
}

TEST(NgramProposerTest, GrowingAndCuttingEqualsStartingAnew) {
  const Tokens text = random_text(1, 600, 4);
  NgramProposer grown({.min_match = 2, .long_match = 4});
  std::mt19937_64 random(2);
  for (std::size_t length = 1; length < text.size(); ++length) {
    const auto context = std::span(text).first(length);
    const Tokens proposed = grown.propose(context, 5);
    if (length % 7 == 0) {  // something else was there for a while
      Tokens other(context.begin(), context.end());
      for (std::size_t i = 0; i < random() % 9; ++i)
        other.push_back(static_cast<TokenId>(random() % 4));
      grown.propose(other, 3);
      grown.truncate(static_cast<std::int64_t>(length));
      ASSERT_EQ(grown.propose(context, 5), proposed);
    }
    if (length % 50 == 0) {
      NgramProposer fresh({.min_match = 2, .long_match = 4});
      ASSERT_EQ(fresh.propose(context, 5), proposed);
      const auto cut = static_cast<std::int64_t>(random() % length);
      grown.truncate(cut);
      ASSERT_EQ(grown.propose(context, 5), proposed);
    }
    if (proposed.empty()) continue;
    // Some earlier place with an agreement of two or more goes on like this.
    bool found = false;
    for (std::size_t end = 2; end < length && !found; ++end)
      found = common_end(context, end) >= 2 && text[end] == proposed[0];
    ASSERT_TRUE(found) << length;
  }
}

// Every run of up to four tokens: how often it stands in the text, and what follows it most often.
TEST(SuffixAutomatonTest, CountsRuns) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const std::vector<Tokens> texts = {random_text(seed, 300, 5), random_text(seed + 10, 200, 5), {}, {1}};
    SuffixAutomaton automaton;
    std::map<Tokens, std::int64_t> counts;
    for (const Tokens& text : texts) {
      automaton.start_text();
      for (const TokenId token : text)
        automaton.add(token);
      for (std::size_t from = 0; from < text.size(); ++from) {
        for (std::size_t size = 1; size <= 5 && from + size <= text.size(); ++size)
          ++counts[Tokens(text.begin() + static_cast<std::ptrdiff_t>(from),
                          text.begin() + static_cast<std::ptrdiff_t>(from + size))];
      }
    }
    int checked = 0;
    for (const auto& [run, count] : counts) {
      if (run.size() > 4) continue;
      const auto match = automaton.find_end(run);
      ASSERT_EQ(match.length, static_cast<std::int64_t>(run.size()));
      TokenId best = kNoToken;
      std::int64_t most = 0;
      std::int64_t total = 0;
      for (TokenId token = 0; token < 5; ++token) {
        Tokens longer = run;
        longer.push_back(token);
        const auto found = counts.find(longer);
        if (found == counts.end()) continue;
        total += found->second;
        if (found->second <= most) continue;
        most = found->second;
        best = token;
      }
      const auto next = automaton.most_frequent(match.state);
      ASSERT_EQ(next.token, best);
      ASSERT_EQ(next.count, most);
      ASSERT_EQ(next.total, total);
      ++checked;
    }
    EXPECT_GT(checked, 100);
  }
}

TEST(SuffixAutomatonTest, FindsTheLongestRepeatedEnd) {
  const Tokens text = random_text(5, 400, 3);
  SuffixAutomaton automaton;
  for (std::size_t length = 1; length <= text.size(); ++length) {
    automaton.add(text[length - 1]);
    const auto context = std::span(text).first(length);
    std::size_t longest = 0;
    for (std::size_t end = 0; end < length; ++end)
      longest = std::max(longest, common_end(context, end));
    ASSERT_EQ(automaton.repeated_end().length, static_cast<std::int64_t>(longest)) << length;
  }
}

TEST(SuffixProposerTest, TakesTheMostFrequentContinuation) {
  SuffixProposer proposer;
  const Tokens context = {1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3, 8, 5, 1, 2, 3};
  const Tokens proposed = proposer.propose(context, 3);
  ASSERT_FALSE(proposed.empty());
  EXPECT_EQ(proposed[0], 8);
  EXPECT_TRUE(SuffixProposer().propose(Tokens{1, 2, 3, 4}, 5).empty());
  // A period goes on.
  EXPECT_EQ(SuffixProposer().propose(Tokens{4, 6, 4, 6, 4, 6, 4, 6}, 5), (Tokens{4, 6, 4, 6, 4}));
}

TEST(SuffixProposerTest, LearnsFromTheStore) {
  SuffixStore store;
  store.add(Tokens{10, 11, 12, 13, 14, 15});
  SuffixProposer with({}, &store);
  SuffixProposer without;
  const Tokens context = {1, 2, 11, 12};
  EXPECT_EQ(with.propose(context, 3), (Tokens{13, 14, 15}));
  EXPECT_TRUE(without.propose(context, 3).empty());
}

TEST(SuffixProposerTest, MemoryIsBounded) {
  SuffixStore store(1000);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    store.add(random_text(seed, 300, 50));
    EXPECT_LE(store.num_tokens(), 1602);  // two halves, each past its limit by one answer at most
  }
  store.add(random_text(99, 5000, 50));
  EXPECT_LE(store.num_tokens(), 1602);
  // What a small window still has is proposed all the same.
  SuffixProposer proposer({.max_tokens = 64});
  Tokens context = random_text(7, 500, 1000);
  for (std::size_t length = 1; length <= context.size(); ++length)
    proposer.propose(std::span(context).first(length), 4);
  context.insert(context.end(), context.end() - 20, context.end() - 10);
  const Tokens proposed = proposer.propose(context, 4);
  EXPECT_EQ(proposed, Tokens(context.begin() + 490, context.begin() + 494));
}

TEST(SuffixProposerTest, CuttingEqualsStartingAnew) {
  const Tokens text = random_text(3, 200, 4);
  SuffixProposer proposer;
  proposer.propose(text, 4);
  for (const std::size_t length : {150UL, 151UL, 20UL, 199UL}) {
    proposer.truncate(static_cast<std::int64_t>(std::min(length, 100UL)));
    const auto context = std::span(text).first(length);
    EXPECT_EQ(proposer.propose(context, 4), SuffixProposer().propose(context, 4));
  }
}

}  // namespace
}  // namespace mlxr
