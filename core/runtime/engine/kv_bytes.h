#pragma once
// KvBytes: moves the bytes of KV blocks as the paged cache's bookkeeping says: between blocks, to host memory and back,
// to the store on disk and back. The engine thread owns it, between steps.

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/backend/kv_storage.h"
#include "core/runtime/kv/block_store.h"
#include "core/runtime/kv/paged_kv.h"

namespace mlxr {

class KvBytes {
 public:
  // `storage` must outlive it. `store` may be nullptr: nothing is kept on disk.
  KvBytes(KvStorage& storage, std::unique_ptr<BlockStore> store);

  // Carries out what the bookkeeping decided, in order.
  Status apply(std::span<const KvCopy> copies);
  // Hands blocks that became full to the store's writer.
  void save(std::span<const PublishedBlock> blocks);
  // Puts blocks that the store knows under an open sequence that has all its tokens committed, from its committed
  // length on, as far as `tokens` but for the last reaches. Returns the tokens that were added.
  std::int64_t restore(PagedKv& cache, SequenceId sequence, std::span<const std::int32_t> tokens);

  // What swapping the sequence out copies.
  std::uint64_t bytes_of(const PagedKv& cache, SequenceId sequence) const;

  BlockStore* store() { return store_.get(); }

 private:
  bool restore_block(PagedKv& cache, SequenceId sequence, std::span<const BlockHash> hashes, std::size_t index,
                     std::span<const std::int32_t> tokens);
  std::vector<std::byte>& host_slot(int group, std::int32_t slot);

  KvStorage& storage_;
  std::unique_ptr<BlockStore> store_;
  std::vector<std::vector<std::vector<std::byte>>> host_slots_;  // by group and slot; empty until used
  std::vector<std::byte> scratch_;
};

}  // namespace mlxr
