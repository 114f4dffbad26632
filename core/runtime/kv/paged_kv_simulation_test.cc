// Random operations on PagedKv beside a storage that remembers what was written where. What stands at a position of a
// block is a digest of all tokens up to it and of the scope, as K/V depend on them; after every operation each sequence
// must read its own prefix through its tables, and the books must balance.
//
// MLXR_KV_SIMULATION_STEPS sets the operations of each run.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/runtime/kv/paged_kv.h"

namespace mlxr {
namespace {

using Ids = std::vector<std::int32_t>;

struct Live {
  std::uint64_t scope = 0;
  Ids tokens;  // committed
  bool swapped = false;
};

std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
  state = (state ^ value) * 0x9e3779b97f4a7c15U;
  return state ^ (state >> 29);
}

class Simulation {
 public:
  Simulation(PagedKvOptions options, unsigned seed) : options_(std::move(options)), kv_(options_), random_(seed) {
    for (const KvGroupOptions& group : options_.groups) {
      storage_.emplace_back(static_cast<std::size_t>(group.num_blocks * options_.block_tokens), 0);
      host_.emplace_back(static_cast<std::size_t>(options_.swap_blocks * options_.block_tokens), 0);
    }
    state_.resize(static_cast<std::size_t>(options_.max_sequences));
    checkpoints_.resize(static_cast<std::size_t>(options_.num_checkpoints));
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      operation();
      ASSERT_NO_FATAL_FAILURE(check()) << "after operation " << i;
    }
  }
  KvStats stats() const { return kv_.stats(); }

 private:
  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit));
  }

  void operation() {
    const std::int64_t choice = below(100);
    if (live_.empty() || choice < 12) return start();
    const SequenceId id = std::next(live_.begin(), below(static_cast<std::int64_t>(live_.size())))->first;
    if (choice < 20) return stop(id);
    if (live_[id].swapped) return swap_in(id);
    if (choice < 26) return fork(id);
    if (choice < 34) return truncate(id);
    if (choice < 40) return swap_out(id);
    if (choice < 46) return reserve(id);
    if (choice < 50) return checkpoint(id);
    step();
  }

  // Few distinct prompts, so that many share a beginning.
  Ids prompt() {
    Ids ids(static_cast<std::size_t>(1 + below(options_.max_length / 2)), 7);
    const auto change = static_cast<std::size_t>(below(4) * options_.block_tokens * 2 + below(3));
    for (std::size_t i = change; i < ids.size(); ++i)
      ids[i] = static_cast<std::int32_t>(i % 5 + change);
    return ids;
  }

  void start() {
    const auto scope = static_cast<std::uint64_t>(below(2));
    PrefixScope salt;
    salt.salt.bytes[0] = static_cast<std::uint8_t>(scope);
    const auto opened = kv_.open(salt);
    ASSERT_EQ(opened.ok(), static_cast<std::int64_t>(live_.size()) < options_.max_sequences);
    if (!opened.ok()) return;
    Live live{.scope = scope, .tokens = prompt()};
    const std::int64_t covered = kv_.attach_prefix(*opened, live.tokens);
    ASSERT_LT(covered, static_cast<std::int64_t>(live.tokens.size()));
    live.tokens.resize(static_cast<std::size_t>(covered));
    live_[*opened] = std::move(live);
  }

  void stop(SequenceId id) {
    kv_.close(id);
    live_.erase(id);
  }

  void fork(SequenceId id) {
    const auto child = kv_.fork(id);
    ASSERT_EQ(child.ok(), static_cast<std::int64_t>(live_.size()) < options_.max_sequences);
    if (child.ok()) live_[*child] = live_[id];
  }

  void truncate(SequenceId id) {
    const std::int64_t shortest = kv_.shortest_truncation(id);
    const std::int64_t length = below(10) == 0 ? 0 : shortest + below(kv_.length(id) - shortest + 1);
    kv_.truncate(id, length);
    live_[id].tokens.resize(static_cast<std::size_t>(length));
  }

  void swap_out(SequenceId id) {
    const bool expected = kv_.can_swap_out(id);
    live_[id].swapped = kv_.swap_out(id).ok();
    ASSERT_EQ(live_[id].swapped, expected);
  }

  void swap_in(SequenceId id) { live_[id].swapped = !kv_.swap_in(id).ok(); }

  void reserve(SequenceId id) {
    const std::int64_t count = below(3 * options_.block_tokens);
    if (!kv_.reserve(id, count).ok()) return;
    const std::int64_t free = kv_.free_blocks();
    ASSERT_TRUE(kv_.extend(id, count).ok());
    ASSERT_EQ(kv_.free_blocks(), free);
    kv_.truncate(id, kv_.committed(id));
  }

  void checkpoint(SequenceId id) {
    const std::int64_t length = kv_.length(id);
    if (options_.num_checkpoints > 0 && length > 0 && length % options_.block_tokens == 0) kv_.save_checkpoint(id);
  }

  // One batch: some sequences get tokens, of which a tail may be rejected.
  void step() {
    struct Piece {
      SequenceId id;
      Ids tokens;
    };
    std::vector<Piece> pieces;
    for (const auto& [id, live] : live_) {
      if (live.swapped || below(3) == 0) continue;
      Ids ids(static_cast<std::size_t>(below(4) == 0 ? 1 + below(2 * options_.block_tokens) : 1), 7);
      if (below(2) == 0) ids.back() = static_cast<std::int32_t>(below(3));
      const std::int64_t free = kv_.free_blocks();
      if (kv_.extend(id, static_cast<std::int64_t>(ids.size())).ok()) {
        pieces.push_back({id, std::move(ids)});
      } else {
        ASSERT_EQ(kv_.free_blocks(), free);
      }
    }
    carry_out();
    for (const Piece& piece : pieces) {
      Live next = live_[piece.id];
      next.tokens.insert(next.tokens.end(), piece.tokens.begin(), piece.tokens.end());
      write(piece.id, next, live_[piece.id].tokens.size());
    }
    for (const Piece& piece : pieces) {
      Live& live = live_[piece.id];
      // Recurrent state cannot be rolled back.
      const auto size = static_cast<std::int64_t>(piece.tokens.size());
      const std::int64_t kept = options_.num_checkpoints > 0 || below(3) != 0 ? size : below(size + 1);
      kv_.truncate(piece.id, static_cast<std::int64_t>(live.tokens.size()) + kept);
      kv_.commit(piece.id, std::span(piece.tokens).first(static_cast<std::size_t>(kept)));
      live.tokens.insert(live.tokens.end(), piece.tokens.begin(), piece.tokens.begin() + kept);
      state_[static_cast<std::size_t>(piece.id)] = digest(live, live.tokens.size());
      if (below(2) == 0) checkpoint(piece.id);
    }
  }

  void carry_out() {
    const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
    for (const KvCopy& copy : kv_.take_copies()) {
      auto& storage = storage_[static_cast<std::size_t>(copy.group)];
      auto& host = host_[static_cast<std::size_t>(copy.group)];
      const auto from = static_cast<std::size_t>(copy.from);
      const auto to = static_cast<std::size_t>(copy.to);
      const auto move = [&](const auto& source, auto& target) {
        for (std::size_t i = 0; i < block_tokens; ++i)
          target[to * block_tokens + i] = source[from * block_tokens + i];
      };
      switch (copy.kind) {
        case KvCopyKind::kBlock:
          move(storage, storage);
          break;
        case KvCopyKind::kToHost:
          move(storage, host);
          break;
        case KvCopyKind::kFromHost:
          move(host, storage);
          break;
        case KvCopyKind::kSaveState:
          checkpoints_[to] = state_[from];
          break;
        case KvCopyKind::kRestoreState:
          state_[to] = checkpoints_[from];
          break;
        case KvCopyKind::kForkState:
          state_[to] = state_[from];
          break;
      }
    }
    // A sequence of length 0 starts from the empty state, whatever its place held.
    for (const auto& [id, live] : live_) {
      if (live.tokens.empty()) state_[static_cast<std::size_t>(id)] = digest(live, 0);
    }
  }

  static std::uint64_t digest(const Live& live, std::size_t length) {
    std::uint64_t state = mix(1, live.scope);
    for (std::size_t i = 0; i < length; ++i)
      state = mix(state, static_cast<std::uint64_t>(live.tokens[i]) + 1);
    return state;
  }

  void write(SequenceId id, const Live& live, std::size_t from) {
    std::uint64_t state = digest(live, from);
    for (std::size_t position = from; position < live.tokens.size(); ++position) {
      state = mix(state, static_cast<std::uint64_t>(live.tokens[position]) + 1);
      for (int group = 0; group < kv_.num_groups(); ++group)
        cell(id, group, position) = state;
    }
  }

  std::uint64_t& cell(SequenceId id, int group, std::size_t position) {
    const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
    const std::int32_t block = kv_.blocks(id, group)[position / block_tokens];
    return storage_[static_cast<std::size_t>(group)]
                   [static_cast<std::size_t>(block) * block_tokens + position % block_tokens];
  }

  // Copies of several operations may wait together, as they do between two steps.
  void check() {
    const bool carried_out = below(2) == 0;
    if (carried_out) carry_out();
    const Status integrity = kv_.check_integrity();
    ASSERT_TRUE(integrity.ok()) << integrity.message();
    const KvStats stats = kv_.stats();
    std::int64_t total = 0;
    for (const KvGroupOptions& group : options_.groups)
      total += group.num_blocks;
    ASSERT_EQ(stats.used_blocks + stats.cached_blocks + stats.free_blocks, total);
    for (const auto& [id, live] : live_) {
      ASSERT_EQ(kv_.length(id), static_cast<std::int64_t>(live.tokens.size()));
      ASSERT_EQ(kv_.swapped(id), live.swapped);
      if (!carried_out) continue;
      if (options_.num_checkpoints > 0) {
        ASSERT_EQ(state_[static_cast<std::size_t>(id)], digest(live, live.tokens.size())) << "state of " << id;
      }
      if (live.swapped) continue;
      ASSERT_NO_FATAL_FAILURE(check_reading(id, live));
    }
  }

  // What the next token of each group sees.
  void check_reading(SequenceId id, const Live& live) {
    std::uint64_t state = digest(live, 0);
    for (std::size_t position = 0; position < live.tokens.size(); ++position) {
      state = mix(state, static_cast<std::uint64_t>(live.tokens[position]) + 1);
      for (int group = 0; group < kv_.num_groups(); ++group) {
        const auto window = static_cast<std::size_t>(options_.groups[static_cast<std::size_t>(group)].window);
        if (window > 0 && position + window <= live.tokens.size()) continue;
        ASSERT_EQ(cell(id, group, position), state)
            << "sequence " << id << " group " << group << " position " << position << " of " << live.tokens.size();
      }
    }
  }

  PagedKvOptions options_;
  PagedKv kv_;
  std::mt19937_64 random_;
  std::map<SequenceId, Live> live_;
  std::vector<std::vector<std::uint64_t>> storage_, host_;  // by group
  std::vector<std::uint64_t> state_, checkpoints_;
};

int num_steps() {
  const char* text = std::getenv("MLXR_KV_SIMULATION_STEPS");
  return text != nullptr ? std::atoi(text) : 3000;
}

struct Setting {
  const char* name;
  PagedKvOptions options;
};

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << setting.name;
}

class PagedKvSimulation : public testing::TestWithParam<Setting> {};

TEST_P(PagedKvSimulation, EverySequenceReadsItsOwnPrefix) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    Simulation simulation(GetParam().options, seed);
    ASSERT_NO_FATAL_FAILURE(simulation.run(num_steps())) << "seed " << seed;
    const KvStats stats = simulation.stats();
    EXPECT_GT(stats.hit_tokens, 0);
    EXPECT_GT(stats.copies, 0);
    EXPECT_GT(stats.duplicates, 0);
    EXPECT_GT(stats.evictions, 0);
    EXPECT_GT(stats.swapped_in, 0);
  }
}

constexpr std::int64_t kBlock = 4;

INSTANTIATE_TEST_SUITE_P(
    , PagedKvSimulation,
    testing::Values(Setting{"uniform", {{{.num_blocks = 40}}, kBlock, 96, 8, 20}},
                    Setting{"scarce", {{{.num_blocks = 9}}, kBlock, 40, 6, 9}},
                    Setting{"window", {{{.num_blocks = 60}, {.num_blocks = 26, .window = 10}}, kBlock, 96, 6, 16}},
                    Setting{"only_windows",
                            {{{.num_blocks = 24, .window = 5}, {.num_blocks = 24, .window = 1}}, kBlock, 80, 6, 16}},
                    Setting{"recurrent", {{{.num_blocks = 40}}, kBlock, 96, 6, 20, 5}}),
    [](const testing::TestParamInfo<Setting>& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace mlxr
