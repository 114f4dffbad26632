#pragma once
// BlockPool: which blocks of one storage are used, cached or free. A block is exactly one of
//   used    referred to by at least one sequence (published under a name or not)
//   cached  published, and nobody refers to it: found again by its name, until it is evicted
//   free    neither
// Taking a block prefers free ones and then evicts the cached one that was released first. Who releases the blocks of
// a sequence last to first thereby has suffixes evicted before the prefixes that they hang on.
// Integers only, no allocation after the constructor, every call O(1). One thread.

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/block_hash.h"
#include "core/runtime/kv/block_index.h"

namespace mlxr {

class BlockPool {
 public:
  explicit BlockPool(std::int64_t num_blocks);

  std::int64_t num_blocks() const { return static_cast<std::int64_t>(references_.size()); }
  std::int64_t num_used() const { return num_blocks() - num_free() - num_cached_; }
  std::int64_t num_cached() const { return num_cached_; }
  std::int64_t num_free() const { return static_cast<std::int64_t>(free_.size()); }
  // What take() can give: free and cached.
  std::int64_t num_available() const { return num_free() + num_cached_; }
  std::int64_t num_evictions() const { return num_evictions_; }

  // A block with one reference and no name; num_available() must not be 0.
  std::int32_t take();
  // One reference more, to a used or cached block.
  void retain(std::int32_t block);
  // One less. After the last one a published block is cached, another is free.
  void release(std::int32_t block);
  std::int32_t references(std::int32_t block) const { return references_[static_cast<std::size_t>(block)]; }

  // Names a used block, which from now on must not be written; no block may have this name yet.
  void publish(std::int32_t block, const BlockHash& hash) { index_.insert(block, hash); }
  // Takes the name of a used block away, so that it may be written.
  void withdraw(std::int32_t block);
  bool published(std::int32_t block) const { return index_.contains(block); }
  // The name of a published block.
  const BlockHash& hash(std::int32_t block) const { return index_.hash(block); }
  // The published block of this name, or -1.
  std::int32_t find(const BlockHash& hash) const { return index_.find(hash); }
  // Makes a cached block the last one to be evicted.
  void touch(std::int32_t block);

  // kInternal naming the first contradiction. `expected`: references by block, as counted in all tables.
  Status check_integrity(std::span<const std::int32_t> expected) const;

 private:
  void append_cached(std::int32_t block);
  void unlink_cached(std::int32_t block);
  Status check_cached_list() const;

  std::vector<std::int32_t> references_;
  std::vector<std::int32_t> free_;  // a stack
  // Cached blocks as a doubly linked list, the next to evict first; -1 ends it.
  std::vector<std::int32_t> previous_, next_;
  std::int32_t oldest_ = -1, newest_ = -1;
  std::int64_t num_cached_ = 0;
  std::int64_t num_evictions_ = 0;
  BlockIndex index_;
};

}  // namespace mlxr
