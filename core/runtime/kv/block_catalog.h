#pragma once
// What a store of blocks holds, and what goes first when it is full: of the blocks that no other stored block hangs on,
// the one used longest ago. Prefixes thereby outlive their suffixes, and a prefix that several share outlives them all.
// Names only, no files. One thread at a time.

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/runtime/kv/block_hash.h"

namespace mlxr {

class BlockCatalog {
 public:
  struct Entry {
    BlockHash parent;  // name of the block before it, which need not be stored
    std::uint64_t bytes = 0;
    std::uint64_t last_use = 0;
  };

  std::size_t size() const { return entries_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  // nullptr when it is not stored; valid until the next change.
  const Entry* find(const BlockHash& name) const;

  // `name` must not be stored yet. It is the last one used.
  void add(const BlockHash& name, const BlockHash& parent, std::uint64_t bytes);
  void touch(const BlockHash& name);
  void remove(const BlockHash& name);
  // What goes first, except `kept`; nothing when there is no other.
  std::optional<BlockHash> next_victim(const BlockHash& kept) const;

 private:
  bool has_children(const BlockHash& name) const { return num_children_.contains(name); }

  std::unordered_map<BlockHash, Entry, BlockHashHash> entries_;
  std::unordered_map<BlockHash, std::int64_t, BlockHashHash> num_children_;  // stored ones, of any name
  std::map<std::uint64_t, BlockHash> leaves_;                                // by last use
  std::uint64_t bytes_ = 0;
  std::uint64_t num_uses_ = 0;
};

}  // namespace mlxr
