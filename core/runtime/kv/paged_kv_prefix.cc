// Prefixes of PagedKv: finding, naming and publishing them.

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/runtime/kv/paged_kv.h"

namespace mlxr {

// The hashes of the longest usable chain. A prefix of n blocks is usable when every group without a window has all n,
// every group with one the blocks that position n * block_tokens sees, and there is a checkpoint if one is needed.
std::vector<BlockHash> PagedKv::longest_prefix(const Sequence& sequence, std::span<const std::int32_t> tokens) {
  const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
  const auto limit = std::min(tokens.size(), static_cast<std::size_t>(options_.max_length));
  const std::size_t max_blocks = limit == 0 ? 0 : (limit - 1) / block_tokens;
  std::vector<BlockHash> hashes;
  std::vector<std::int64_t> run(groups_.size(), 0);  // blocks that are there without a gap, up to the current one
  std::size_t usable = 0;
  for (std::size_t block = 0; block < max_blocks; ++block) {
    const BlockHash& parent = hashes.empty() ? sequence.scope : hashes.back();
    hashes.push_back(chain_hash(sha_, parent, tokens.subspan(block * block_tokens, block_tokens)));
    const auto length = static_cast<std::int64_t>((block + 1) * block_tokens);
    bool whole = true;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      const bool found = groups_[group].pool.find(hashes.back()) >= 0;
      run[group] = found ? run[group] + 1 : 0;
      if (!found && groups_[group].window == 0) {
        hashes.resize(usable);
        return hashes;
      }
      whole = whole && run[group] >= static_cast<std::int64_t>(block) + 1 - first_seen(groups_[group], length);
    }
    if (whole && (options_.num_checkpoints == 0 || checkpoints_.find(hashes.back()) >= 0)) usable = block + 1;
  }
  hashes.resize(usable);
  return hashes;
}

std::int64_t PagedKv::attach_prefix(SequenceId id, std::span<const std::int32_t> tokens) {
  Sequence& sequence = resident(id);
  MLXR_CHECK(sequence.length == 0, "a prefix goes under an empty sequence");
  for (std::size_t group = 0; group < groups_.size(); ++group)
    cut_table(sequence, group, 0);
  sequence.chain = longest_prefix(sequence, tokens);
  sequence.length = static_cast<std::int64_t>(sequence.chain.size()) * options_.block_tokens;
  const std::span<const std::int32_t> covered = tokens.first(static_cast<std::size_t>(sequence.length));
  sequence.tokens.assign(covered.begin(), covered.end());
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    Table& table = sequence.tables[group];
    table.first = first_seen(groups_[group], sequence.length);
    table.ids.assign(static_cast<std::size_t>(table.first), 0);
    for (std::size_t block = table.ids.size(); block < sequence.chain.size(); ++block) {
      table.ids.push_back(groups_[group].pool.find(sequence.chain[block]));
      groups_[group].pool.retain(table.ids.back());
    }
  }
  if (options_.num_checkpoints > 0 && sequence.length > 0) {
    const std::int32_t checkpoint = checkpoints_.find(sequence.chain.back());
    checkpoints_.touch(checkpoint);
    copy(KvCopyKind::kRestoreState, 0, checkpoint, id);
  }
  stats_.hit_tokens += sequence.length;
  stats_.miss_tokens += static_cast<std::int64_t>(tokens.size()) - sequence.length;
  return sequence.length;
}

std::vector<BlockHash> PagedKv::prefix_hashes(SequenceId id, std::span<const std::int32_t> tokens) {
  const Sequence& sequence = at(id);
  const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / block_tokens);
  for (std::size_t block = 0; block < tokens.size() / block_tokens; ++block) {
    const BlockHash& parent = hashes.empty() ? sequence.scope : hashes.back();
    hashes.push_back(chain_hash(sha_, parent, tokens.subspan(block * block_tokens, block_tokens)));
  }
  return hashes;
}

void PagedKv::commit(SequenceId id, std::span<const std::int32_t> tokens) {
  Sequence& sequence = resident(id);
  MLXR_CHECK(static_cast<std::int64_t>(tokens.size()) <= sequence.length - committed(id),
             "only tokens that have room are committed");
  sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
  const auto block_tokens = static_cast<std::size_t>(options_.block_tokens);
  for (std::size_t block = sequence.chain.size(); block < sequence.tokens.size() / block_tokens; ++block) {
    const BlockHash parent = tail_hash(sequence);
    sequence.chain.push_back(
        chain_hash(sha_, parent, std::span(sequence.tokens).subspan(block * block_tokens, block_tokens)));
    for (std::size_t group = 0; group < groups_.size(); ++group)
      publish(sequence, group, block, parent);
  }
  for (std::size_t group = 0; group < groups_.size(); ++group)
    drop_before_window(sequence, group);
}

void PagedKv::publish(Sequence& sequence, std::size_t group, std::size_t block, const BlockHash& parent) {
  BlockPool& pool = groups_[group].pool;
  Table& table = sequence.tables[group];
  std::int32_t& own = table.ids[block];
  const BlockHash& hash = sequence.chain[block];
  const std::int32_t known = pool.find(hash);
  if (known >= 0) {
    pool.retain(known);
    pool.release(own);
    own = known;
    ++stats_.duplicates;
    return;
  }
  pool.publish(own, hash);
  ++stats_.published;
  if (!options_.report_published) return;
  const auto begin = sequence.tokens.begin() + static_cast<std::ptrdiff_t>(block) * options_.block_tokens;
  published_.push_back({static_cast<int>(group), own, hash, parent, {begin, begin + options_.block_tokens}});
}

void PagedKv::drop_before_window(Sequence& sequence, std::size_t group) {
  if (groups_[group].window == 0) return;
  Table& table = sequence.tables[group];
  const std::int64_t seen = first_seen(groups_[group], static_cast<std::int64_t>(sequence.tokens.size()));
  for (; table.first < seen; ++table.first) {
    std::int32_t& entry = table.ids[static_cast<std::size_t>(table.first)];
    groups_[group].pool.release(entry);
    entry = 0;
  }
}

std::vector<PublishedBlock> PagedKv::take_published() {
  std::vector<PublishedBlock> result = std::exchange(published_, {});
  std::erase_if(result,
                [this](const PublishedBlock& entry) { return pool(entry.group).find(entry.hash) != entry.block; });
  return result;
}

bool PagedKv::save_checkpoint(SequenceId id) {
  const Sequence& sequence = resident(id);
  MLXR_CHECK(options_.num_checkpoints > 0, "the model has recurrent state");
  MLXR_CHECK(sequence.length > 0 && sequence.length % options_.block_tokens == 0 && committed(id) == sequence.length,
             "a checkpoint stands at a committed block boundary");
  const BlockHash& hash = sequence.chain.back();
  if (const std::int32_t known = checkpoints_.find(hash); known >= 0) {
    checkpoints_.touch(known);
    return false;
  }
  const std::int32_t checkpoint = checkpoints_.take();
  checkpoints_.publish(checkpoint, hash);
  checkpoints_.release(checkpoint);
  copy(KvCopyKind::kSaveState, 0, id, checkpoint);
  return true;
}

}  // namespace mlxr
