#include "core/runtime/kv/block_catalog.h"

#include "core/base/check.h"

namespace mlxr {

const BlockCatalog::Entry* BlockCatalog::find(const BlockHash& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

void BlockCatalog::add(const BlockHash& name, const BlockHash& parent, std::uint64_t bytes) {
  const auto [place, added] = entries_.try_emplace(name, Entry{parent, bytes, ++num_uses_});
  MLXR_CHECK(added, "the block is not stored yet");
  bytes_ += bytes;
  if (++num_children_[parent] == 1) {
    if (const Entry* above = find(parent)) leaves_.erase(above->last_use);
  }
  if (!has_children(name)) leaves_.emplace(place->second.last_use, name);
}

void BlockCatalog::touch(const BlockHash& name) {
  Entry& entry = entries_.at(name);
  const bool leaf = leaves_.erase(entry.last_use) > 0;
  entry.last_use = ++num_uses_;
  if (leaf) leaves_.emplace(entry.last_use, name);
}

void BlockCatalog::remove(const BlockHash& name) {
  const auto place = entries_.find(name);
  MLXR_CHECK(place != entries_.end(), "the block is stored");
  const Entry entry = place->second;
  entries_.erase(place);
  leaves_.erase(entry.last_use);
  bytes_ -= entry.bytes;
  const auto siblings = num_children_.find(entry.parent);
  if (--siblings->second > 0) return;
  num_children_.erase(siblings);
  if (const Entry* above = find(entry.parent)) leaves_.emplace(above->last_use, entry.parent);
}

std::optional<BlockHash> BlockCatalog::next_victim(const BlockHash& kept) const {
  for (const auto& [last_use, name] : leaves_) {
    if (!(name == kept)) return name;
  }
  // File names that were made to hang on each other in a circle have no end; no block of ours does.
  if (leaves_.empty() && !entries_.empty()) return entries_.begin()->first;
  return std::nullopt;
}

}  // namespace mlxr
