#include "core/runtime/grammar/merged_states.h"

#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace mlxr::grammar {
namespace {

// What may be read from a state: texts of up to `depth` letters, those that may end marked with '.'. A call is a
// letter.
void collect(const std::vector<AutomatonState>& states, StateId at, int depth, std::string& text,
             std::set<std::string>& out) {
  const AutomatonState& state = states[static_cast<std::size_t>(at)];
  out.insert(state.accepting ? text + "." : text);
  if (depth == 0) return;
  for (const ByteEdge& edge : state.bytes) {
    for (int byte = edge.low; byte <= edge.high; ++byte) {
      text.push_back(static_cast<char>(byte));
      collect(states, edge.target, depth - 1, text, out);
      text.pop_back();
    }
  }
  for (const CallEdge& edge : state.calls) {
    text.push_back(static_cast<char>('A' + edge.rule));
    collect(states, edge.target, depth - 1, text, out);
    text.pop_back();
  }
}

std::set<std::string> texts_of(const std::vector<AutomatonState>& states, StateId at, int depth) {
  std::set<std::string> out;
  std::string text;
  collect(states, at, depth, text, out);
  return out;
}

TEST(MergedStates, AreThoseThatNoShortTextTellsApart) {
  const int depths[] = {1, 2, 4};
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    std::vector<AutomatonState> states(12);
    const auto any_state = [&] { return static_cast<StateId>(random() % states.size()); };
    for (AutomatonState& state : states) {
      state.accepting = random() % 4 == 0;
      // Few kinds, so that some are alike.
      if (random() % 3 != 0) state.bytes.push_back({'a', 'a', any_state()});
      if (random() % 3 != 0) state.bytes.push_back({'b', 'c', any_state()});
      if (random() % 5 == 0) state.calls.push_back({static_cast<RuleId>(random() % 2), any_state()});
    }
    const auto merged = merge_states(states, depths).maps;
    for (std::size_t d = 0; d < std::size(depths); ++d) {
      for (std::size_t i = 0; i < merged[d].size(); ++i)
        ASSERT_EQ(texts_of(states, static_cast<StateId>(i), depths[d]), texts_of(states, merged[d][i], depths[d]))
            << "seed " << seed << " depth " << depths[d] << " state " << i;
      // Deterministic automata, so that what reads the same is merged.
      for (std::size_t i = 0; i < states.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (texts_of(states, static_cast<StateId>(i), depths[d]) !=
              texts_of(states, static_cast<StateId>(j), depths[d]))
            continue;
          ASSERT_FALSE(merged[d].empty());
          ASSERT_EQ(merged[d][i], merged[d][j]) << "seed " << seed << " depth " << depths[d];
        }
      }
    }
  }
}

TEST(MergedStates, CountOnlyNearTheEnd) {
  std::vector<AutomatonState> chain(1000);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i)
    chain[i].bytes.push_back({'a', 'z', static_cast<StateId>(i + 1)});
  chain.back().accepting = true;
  const int depths[] = {16, 128};
  const auto merged = merge_states(chain, depths).maps;
  for (std::size_t d = 0; d < std::size(depths); ++d) {
    const std::set<StateId> different(merged[d].begin(), merged[d].end());
    // Those that are at most so many letters from the end, and the others.
    EXPECT_EQ(different.size(), static_cast<std::size_t>(depths[d]) + 2) << depths[d];
  }
}

TEST(MergedStates, StandForThemselvesWhereAllDiffer) {
  std::vector<AutomatonState> chain(10);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i)
    chain[i].bytes.push_back({'a', 'a', static_cast<StateId>(i + 1)});
  chain.back().accepting = true;
  const int depths[] = {16};
  EXPECT_TRUE(merge_states(chain, depths).maps[0].empty());
}

}  // namespace
}  // namespace mlxr::grammar
