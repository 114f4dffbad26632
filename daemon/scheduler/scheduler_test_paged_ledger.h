#pragma once
// PagedLedger: KvLedger over PagedKv. Prompts of one family share their first tokens; all other tokens are a request's
// own. A block's content is known from the tokens, so that what a sequence finds in the cache is checked.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/check.h"
#include "core/runtime/kv/paged_kv.h"
#include "daemon/scheduler/scheduler_test_ledger.h"

namespace mlxr {

class PagedLedger final : public TestLedger {
 public:
  // One group of layers; families of prompts share `shared_tokens` tokens.
  PagedLedger(PagedKvOptions options, std::int64_t shared_tokens)
      : kv_(std::move(options)), shared_tokens_(shared_tokens) {}

  std::int64_t total_blocks() const override { return kv_.total_blocks(); }
  std::int64_t free_blocks() const override { return kv_.free_blocks(); }
  std::int64_t blocks_for(std::int64_t tokens) const override {
    return (tokens + kv_.block_tokens() - 1) / kv_.block_tokens();
  }

  std::optional<std::int64_t> open(RequestId id) override {
    const Result<SequenceId> sequence = kv_.open();
    if (!sequence.ok()) return std::nullopt;
    sequences_[id] = *sequence;
    return kv_.attach_prefix(*sequence, tokens(id, 0, lengths_.at(id)));
  }
  std::int64_t context(RequestId id) const override { return kv_.committed(sequences_.at(id)); }
  bool reserve(RequestId id, std::int64_t count) override { return kv_.reserve(sequences_.at(id), count).ok(); }
  void release(RequestId id) override {
    kv_.close(sequences_.at(id));
    sequences_.erase(id);
  }

  std::optional<std::uint64_t> swap_bytes(RequestId id) const override {
    if (!kv_.can_swap_out(sequences_.at(id))) return std::nullopt;
    return static_cast<std::uint64_t>(kv_.num_held(sequences_.at(id))) * 1000;
  }
  bool swap_out(RequestId id) override { return kv_.swap_out(sequences_.at(id)).ok(); }
  std::int64_t swapped_blocks(RequestId id) const override { return kv_.num_held(sequences_.at(id)); }
  bool swap_in(RequestId id) override { return kv_.swap_in(sequences_.at(id)).ok(); }

  void set_length(RequestId id, std::int64_t length) override { lengths_[id] = length; }
  void run(RequestId id, std::int64_t count, std::int64_t kept) override {
    const SequenceId sequence = sequences_.at(id);
    const std::int64_t before = kv_.committed(sequence);
    const Status status = kv_.extend(sequence, count);
    MLXR_CHECK(status.ok(), "room was reserved");
    kv_.truncate(sequence, before + kept);
    kv_.commit(sequence, tokens(id, before, before + kept));
    kv_.take_copies();
  }
  bool holds(RequestId id) const override { return sequences_.count(id) != 0; }
  std::int64_t num_held() const override { return static_cast<std::int64_t>(sequences_.size()); }
  std::int64_t reserved_tokens(RequestId id) const override {
    return kv_.num_held(sequences_.at(id)) * kv_.block_tokens() - context(id);
  }
  // Walks all blocks, and so only every few steps.
  Status check() const override { return ++num_checks_ % 16 == 0 ? kv_.check_integrity() : Status(); }
  const PagedKv& kv() const { return kv_; }

 private:
  std::vector<std::int32_t> tokens(RequestId id, std::int64_t from, std::int64_t to) const {
    std::vector<std::int32_t> result;
    for (std::int64_t i = from; i < to; ++i) {
      const auto family = static_cast<std::int32_t>(id % 3);
      result.push_back(i < shared_tokens_ ? family : static_cast<std::int32_t>(100 + id));
    }
    return result;
  }

  PagedKv kv_;
  std::int64_t shared_tokens_;
  mutable std::int64_t num_checks_ = 0;
  std::map<RequestId, SequenceId> sequences_;
  std::map<RequestId, std::int64_t> lengths_;
};

}  // namespace mlxr
