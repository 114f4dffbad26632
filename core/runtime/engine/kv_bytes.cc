#include "core/runtime/engine/kv_bytes.h"

#include "core/base/check.h"

namespace mlxr {

KvBytes::KvBytes(KvStorage& storage, std::unique_ptr<BlockStore> store)
    : storage_(storage), store_(std::move(store)), host_slots_(storage.layout().num_blocks.size()) {}

std::vector<std::byte>& KvBytes::host_slot(int group, std::int32_t slot) {
  auto& slots = host_slots_[static_cast<std::size_t>(group)];
  const auto index = static_cast<std::size_t>(slot);
  if (slots.size() <= index) slots.resize(index + 1);
  slots[index].resize(storage_.block_bytes(group));
  return slots[index];
}

Status KvBytes::apply(std::span<const KvCopy> copies) {
  for (const KvCopy& copy : copies) {
    switch (copy.kind) {
      case KvCopyKind::kBlock:
        storage_.copy_block(copy.group, copy.from, copy.to);
        break;
      case KvCopyKind::kToHost:
        MLXR_RETURN_IF_ERROR(storage_.read_block(copy.group, copy.from, host_slot(copy.group, copy.to)));
        break;
      case KvCopyKind::kFromHost:
        MLXR_RETURN_IF_ERROR(storage_.write_block(copy.group, copy.to, host_slot(copy.group, copy.from)));
        break;
      case KvCopyKind::kSaveState:
      case KvCopyKind::kRestoreState:
      case KvCopyKind::kForkState:
        MLXR_CHECK(false, "the model of this engine has no recurrent state");
    }
  }
  return {};
}

std::uint64_t KvBytes::bytes_of(const PagedKv& cache, SequenceId sequence) const {
  std::uint64_t total = 0;
  for (int group = 0; group < cache.num_groups(); ++group) {
    total += static_cast<std::uint64_t>(cache.num_held(sequence, group)) * storage_.block_bytes(group);
  }
  return total;
}

void KvBytes::save(std::span<const PublishedBlock> blocks) {
  if (!store_) return;
  for (const PublishedBlock& block : blocks) {
    const BlockKey key{.hash = block.hash, .group = block.group};
    const std::size_t size = storage_.block_bytes(block.group);
    if (!store_->wants(key, size)) continue;
    std::vector<std::byte> payload(size);
    if (!storage_.read_block(block.group, block.block, payload).ok()) continue;
    store_->put(key, block.tokens, block.parent, std::move(payload));
  }
}

std::int64_t KvBytes::restore(PagedKv& cache, SequenceId sequence, std::span<const std::int32_t> tokens) {
  if (!store_ || tokens.empty()) return 0;
  const std::int64_t block_tokens = cache.block_tokens();
  const std::int64_t before = cache.committed(sequence);
  const std::vector<BlockHash> hashes = cache.prefix_hashes(sequence, tokens.first(tokens.size() - 1));
  for (auto index = static_cast<std::size_t>(before / block_tokens); index < hashes.size(); ++index) {
    if (!restore_block(cache, sequence, hashes, index, tokens)) break;
  }
  return cache.committed(sequence) - before;
}

bool KvBytes::restore_block(PagedKv& cache, SequenceId sequence, std::span<const BlockHash> hashes, std::size_t index,
                            std::span<const std::int32_t> tokens) {
  const auto block_tokens = static_cast<std::size_t>(cache.block_tokens());
  const auto part = tokens.subspan(index * block_tokens, block_tokens);
  const BlockHash parent = index == 0 ? cache.scope(sequence) : hashes[index - 1];
  const auto key_of = [&](int group) { return BlockKey{.hash = hashes[index], .group = group}; };
  for (int group = 0; group < cache.num_groups(); ++group) {
    if (!store_->contains(key_of(group))) return false;
  }
  const std::int64_t before = cache.committed(sequence);
  if (!cache.extend(sequence, cache.block_tokens()).ok()) return false;
  for (int group = 0; group < cache.num_groups(); ++group) {
    scratch_.resize(storage_.block_bytes(group));
    const std::int32_t block = cache.blocks(sequence, group)[index];
    if (!store_->read(key_of(group), part, parent, scratch_) || !storage_.write_block(group, block, scratch_).ok()) {
      cache.truncate(sequence, before);
      return false;
    }
  }
  cache.commit(sequence, part);
  return true;
}

}  // namespace mlxr
