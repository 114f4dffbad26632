#include "core/runtime/kv/block_pool.h"

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

std::size_t at(std::int32_t block) {
  return static_cast<std::size_t>(block);
}

}  // namespace

BlockPool::BlockPool(std::int64_t num_blocks)
    : references_(static_cast<std::size_t>(num_blocks), 0),
      previous_(static_cast<std::size_t>(num_blocks), -1),
      next_(static_cast<std::size_t>(num_blocks), -1),
      index_(num_blocks) {
  free_.reserve(static_cast<std::size_t>(num_blocks));
  for (std::int64_t block = num_blocks - 1; block >= 0; --block)
    free_.push_back(static_cast<std::int32_t>(block));
}

std::int32_t BlockPool::take() {
  std::int32_t block = oldest_;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else {
    MLXR_CHECK(block >= 0, "there is a block to take");
    unlink_cached(block);
    index_.erase(block);
    ++num_evictions_;
  }
  references_[at(block)] = 1;
  return block;
}

void BlockPool::retain(std::int32_t block) {
  if (references_[at(block)] == 0) {
    MLXR_CHECK(published(block), "a free block is taken, not retained");
    unlink_cached(block);
  }
  ++references_[at(block)];
}

void BlockPool::release(std::int32_t block) {
  MLXR_CHECK(references_[at(block)] > 0, "only a used block is released");
  if (--references_[at(block)] > 0) return;
  if (published(block)) {
    append_cached(block);
  } else {
    free_.push_back(block);
  }
}

void BlockPool::withdraw(std::int32_t block) {
  MLXR_CHECK(references_[at(block)] > 0, "a cached block is evicted, not withdrawn");
  index_.erase(block);
}

void BlockPool::touch(std::int32_t block) {
  MLXR_CHECK(references_[at(block)] == 0 && published(block), "the block is cached");
  unlink_cached(block);
  append_cached(block);
}

void BlockPool::append_cached(std::int32_t block) {
  previous_[at(block)] = newest_;
  next_[at(block)] = -1;
  (newest_ >= 0 ? next_[at(newest_)] : oldest_) = block;
  newest_ = block;
  ++num_cached_;
}

void BlockPool::unlink_cached(std::int32_t block) {
  const std::int32_t before = previous_[at(block)];
  const std::int32_t after = next_[at(block)];
  (before >= 0 ? next_[at(before)] : oldest_) = after;
  (after >= 0 ? previous_[at(after)] : newest_) = before;
  --num_cached_;
}

Status BlockPool::check_integrity(std::span<const std::int32_t> expected) const {
  std::vector<std::uint8_t> free(references_.size(), 0);
  for (const std::int32_t block : free_) {
    if (free[at(block)] != 0) return internal(fmt::format("block {} is on the free list twice", block));
    free[at(block)] = 1;
  }
  std::int64_t names = 0;
  std::int64_t used = 0;
  for (std::int32_t block = 0; block < num_blocks(); ++block) {
    const std::int32_t references = references_[at(block)];
    if (references != expected[at(block)]) {
      return internal(
          fmt::format("block {} counts {} references, the tables have {}", block, references, expected[at(block)]));
    }
    const bool is_free = free[at(block)] != 0;
    if (is_free != (references == 0 && !published(block))) {
      return internal(fmt::format("block {} with {} references is {} the free list", block, references,
                                  is_free ? "on" : "missing from"));
    }
    used += references > 0 ? 1 : 0;
    names += published(block) ? 1 : 0;
    if (published(block) && find(hash(block)) != block) {
      return internal(fmt::format("block {} is not found under its own name", block));
    }
  }
  if (names != index_.size())
    return internal(fmt::format("{} blocks are named, the index has {}", names, index_.size()));
  if (used + num_free() + num_cached() != num_blocks()) {
    return internal(
        fmt::format("{} used, {} free and {} cached blocks are not {}", used, num_free(), num_cached(), num_blocks()));
  }
  return check_cached_list();
}

Status BlockPool::check_cached_list() const {
  std::int64_t cached = 0;
  std::int32_t before = -1;
  for (std::int32_t block = oldest_; block >= 0; before = block, block = next_[at(block)]) {
    if (references_[at(block)] != 0 || !published(block)) {
      return internal(fmt::format("block {} is in the list of cached blocks without being cached", block));
    }
    if (previous_[at(block)] != before || ++cached > num_cached_) {
      return internal(fmt::format("the list of cached blocks is broken at block {}", block));
    }
  }
  if (cached != num_cached_ || newest_ != before) {
    return internal(fmt::format("the list of cached blocks has {} of {}", cached, num_cached_));
  }
  return {};
}

}  // namespace mlxr
