#pragma once
// KV memory for tests of schedulers. CountingLedger has only counts and aborts on calls that break the contract of
// KvLedger; PagedLedger (scheduler_test_paged_ledger.h) stands on PagedKv.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/runtime/engine/kv_ledger.h"

namespace mlxr {

// What StepDriver does with KV memory beside what a scheduler may.
class TestLedger : public KvLedger {
 public:
  // The request has `length` tokens; told before it is opened and whenever it grows.
  virtual void set_length(RequestId id, std::int64_t length) = 0;
  // A step wrote K/V of `tokens` tokens into room that was reserved; `kept` of them stay.
  virtual void run(RequestId id, std::int64_t tokens, std::int64_t kept) = 0;
  virtual bool holds(RequestId id) const = 0;
  virtual std::int64_t num_held() const = 0;
  // Tokens that there is room for beyond the context.
  virtual std::int64_t reserved_tokens(RequestId id) const = 0;
  // Between steps.
  virtual Status check() const = 0;
};

class CountingLedger final : public TestLedger {
 public:
  CountingLedger(std::int64_t total_blocks, std::int64_t block_tokens)
      : total_(total_blocks), free_(total_blocks), block_tokens_(block_tokens) {}

  struct Sequence {
    std::int64_t context = 0;
    std::int64_t blocks = 0;
    bool swapped = false;
  };

  // What a test sets.
  std::map<RequestId, std::int64_t> prefixes;  // tokens that open() covers
  std::int64_t host_blocks = 0;                // room for swapping
  std::int64_t max_sequences = 1 << 20;
  std::int64_t num_opened = 0;

  std::int64_t total_blocks() const override { return total_; }
  std::int64_t free_blocks() const override { return free_; }
  std::int64_t blocks_for(std::int64_t tokens) const override { return (tokens + block_tokens_ - 1) / block_tokens_; }

  std::optional<std::int64_t> open(RequestId id) override {
    MLXR_CHECK(sequences_.count(id) == 0, "opened once");
    ++num_opened;
    const auto prefix = prefixes.find(id);
    const std::int64_t covered = prefix == prefixes.end() ? 0 : prefix->second;
    if (num_open() >= max_sequences || blocks_for(covered) > free_) return std::nullopt;
    sequences_[id] = {.context = covered, .blocks = blocks_for(covered), .swapped = false};
    free_ -= blocks_for(covered);
    return covered;
  }
  std::int64_t context(RequestId id) const override { return sequences_.at(id).context; }
  bool reserve(RequestId id, std::int64_t tokens) override {
    Sequence& sequence = opened(id);
    const std::int64_t more = std::max(std::int64_t{0}, blocks_for(sequence.context + tokens) - sequence.blocks);
    if (more > free_) return false;
    free_ -= more;
    sequence.blocks += more;
    return true;
  }
  void release(RequestId id) override {
    const auto sequence = sequences_.find(id);
    MLXR_CHECK(sequence != sequences_.end(), "released once");
    (sequence->second.swapped ? host_blocks : free_) += sequence->second.blocks;
    sequences_.erase(sequence);
  }

  std::optional<std::uint64_t> swap_bytes(RequestId id) const override {
    const Sequence& sequence = sequences_.at(id);
    if (sequence.blocks > host_blocks) return std::nullopt;
    return static_cast<std::uint64_t>(sequence.blocks) * 1000;
  }
  bool swap_out(RequestId id) override {
    Sequence& sequence = opened(id);
    if (sequence.blocks > host_blocks) return false;
    sequence.blocks = blocks_for(sequence.context) < sequence.blocks ? trim(sequence) : sequence.blocks;
    host_blocks -= sequence.blocks;
    free_ += sequence.blocks;
    sequence.swapped = true;
    return true;
  }
  std::int64_t swapped_blocks(RequestId id) const override { return sequences_.at(id).blocks; }
  bool swap_in(RequestId id) override {
    Sequence& sequence = sequences_.at(id);
    MLXR_CHECK(sequence.swapped, "swapped in after it was swapped out");
    if (sequence.blocks > free_) return false;
    free_ -= sequence.blocks;
    host_blocks += sequence.blocks;
    sequence.swapped = false;
    return true;
  }

  void set_length(RequestId, std::int64_t) override {}
  void run(RequestId id, std::int64_t tokens, std::int64_t kept) override {
    Sequence& sequence = opened(id);
    MLXR_CHECK(blocks_for(sequence.context + tokens) <= sequence.blocks, "room was reserved");
    sequence.context += kept;
  }
  bool holds(RequestId id) const override { return sequences_.count(id) != 0; }
  std::int64_t num_held() const override { return static_cast<std::int64_t>(sequences_.size()); }
  std::int64_t reserved_tokens(RequestId id) const override {
    return sequences_.at(id).blocks * block_tokens_ - sequences_.at(id).context;
  }
  Status check() const override {
    std::int64_t held = 0;
    for (const auto& [id, sequence] : sequences_)
      held += sequence.swapped ? 0 : sequence.blocks;
    return held + free_ == total_ ? Status() : internal("blocks were lost");
  }

 private:
  Sequence& opened(RequestId id) {
    Sequence& sequence = sequences_.at(id);
    MLXR_CHECK(!sequence.swapped, "open, not swapped out");
    return sequence;
  }
  // Gives back what was reserved and not written.
  std::int64_t trim(Sequence& sequence) {
    const std::int64_t blocks = blocks_for(sequence.context);
    free_ += sequence.blocks - blocks;
    return blocks;
  }
  std::int64_t num_open() const {
    return std::count_if(sequences_.begin(), sequences_.end(), [](const auto& entry) { return !entry.second.swapped; });
  }

  std::int64_t total_;
  std::int64_t free_;
  std::int64_t block_tokens_;
  std::map<RequestId, Sequence> sequences_;
};

}  // namespace mlxr
