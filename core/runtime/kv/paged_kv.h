#pragma once
// PagedKv: the KvCache of many sequences that share blocks. Integers only; the engine moves the bytes.
//
// A step of the engine:
//   attach_prefix(s, prompt)      new sequences: what is known already
//   extend(s, n)                  room for the tokens of the step
//   take_copies()                 carried out on the storage, in order, before anything is written
//   ... the model writes K/V of the new tokens ...
//   truncate(s, length)           drafted tokens that were rejected
//   commit(s, tokens)             the tokens whose K/V are now in storage
//   take_published()              blocks that just became full, for the disk
//
// Length and commitment: length(s) counts tokens that have room, committed(s) those whose K/V are in storage. A full
// committed block is published under its chain hash (block_hash.h) and from then on never written: a sequence that was
// truncated into it gets a copy first (copy on write), and so does one of two sequences that share a partial block
// after fork(). When a block is completed whose content is already published, the sequence switches to the published
// block and its own is freed, so that equal prompts end on one copy.
//
// Groups: layers with equal windows share block tables. A group with a window keeps the blocks that the next token can
// see; the entries before are 0 and never read. Tables are indexed by position / block_tokens in every group. Block ids
// are of the group's own storage.
//
// Recurrent state cannot be cut or shared by blocks. With num_checkpoints > 0, a sequence has a state (kept by the
// engine under its SequenceId), snapshots of it are kept under the chain hash at a block boundary, and a prefix is
// only found up to such a snapshot. A sequence of length 0 has the empty state, whatever its place held before.
//
// The engine thread owns it. Errors are kResourceExhausted and change nothing; a closed sequence, a bad length or a
// swapped-out sequence is a programming error. Every call costs what it touches: extend and commit of one token touch
// one table entry a group, attach_prefix hashes the prompt up to the first unknown block.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/block_hash.h"
#include "core/runtime/kv/block_pool.h"
#include "core/runtime/kv/kv_cache.h"
#include "core/runtime/kv/swap_space.h"

namespace mlxr {

struct KvGroupOptions {
  std::int64_t num_blocks = 0;
  std::int64_t window = 0;  // tokens that a query sees, itself included; 0: all
};

struct PagedKvOptions {
  std::vector<KvGroupOptions> groups;  // at least one
  std::int64_t block_tokens = 32;      // a power of two
  std::int64_t max_length = 0;         // tokens a sequence
  std::int64_t max_sequences = 1;
  std::int64_t swap_blocks = 0;      // host slots in each group
  std::int64_t num_checkpoints = 0;  // 0: the model has no recurrent state
  bool report_published = false;     // fills take_published()

  // kInvalidArgument naming the field.
  Status validate() const;
};

enum class KvCopyKind : std::uint8_t {
  kBlock,         // block -> block
  kToHost,        // block -> host slot
  kFromHost,      // host slot -> block
  kSaveState,     // state of a sequence -> checkpoint
  kRestoreState,  // checkpoint -> state of a sequence
  kForkState,     // state of a sequence -> state of a sequence
};

struct KvCopy {
  KvCopyKind kind = KvCopyKind::kBlock;
  int group = 0;  // of blocks and host slots
  std::int32_t from = 0;
  std::int32_t to = 0;

  bool operator==(const KvCopy&) const = default;
};

// A block that has just been published. Its bytes may be read until the next call that takes blocks.
struct PublishedBlock {
  int group = 0;
  std::int32_t block = 0;
  BlockHash hash;
  BlockHash parent;
  std::vector<std::int32_t> tokens;  // block_tokens of them
};

// Counts since the start, in blocks of all groups where nothing else is said.
struct KvStats {
  std::int64_t hit_tokens = 0;   // found by attach_prefix
  std::int64_t miss_tokens = 0;  // asked for and not found
  std::int64_t published = 0;
  std::int64_t duplicates = 0;  // completed blocks that were published already
  std::int64_t evictions = 0;
  std::int64_t copies = 0;  // copies on write
  std::int64_t swapped_out = 0;
  std::int64_t swapped_in = 0;     // blocks that had to come back from the host
  std::int64_t used_blocks = 0;    // now
  std::int64_t cached_blocks = 0;  // now
  std::int64_t free_blocks = 0;    // now, neither used nor cached
};

class PagedKv : public KvCache {
 public:
  // `options` must be valid.
  explicit PagedKv(PagedKvOptions options);

  const PagedKvOptions& options() const { return options_; }
  int num_groups() const override { return static_cast<int>(groups_.size()); }
  std::int64_t block_tokens() const override { return options_.block_tokens; }
  std::int64_t max_length() const override { return options_.max_length; }

  // A sequence of the scope PrefixScope{}, which all callers of this overload share.
  Result<SequenceId> open() override { return open(PrefixScope{}); }
  Result<SequenceId> open(const PrefixScope& scope);
  // Its published blocks stay findable until they are evicted.
  void close(SequenceId sequence) override;

  std::int64_t length(SequenceId sequence) const override { return at(sequence).length; }
  std::int64_t committed(SequenceId sequence) const { return static_cast<std::int64_t>(at(sequence).tokens.size()); }
  Status extend(SequenceId sequence, std::int64_t count) override;
  // Also gives back what reserve() has put beyond the new length. In a group with a window the blocks before it are
  // gone: `length` must be 0 or at least shortest_truncation().
  void truncate(SequenceId sequence, std::int64_t length) override;
  std::int64_t shortest_truncation(SequenceId sequence) const;
  std::span<const std::int32_t> blocks(SequenceId sequence, int group) const override;
  using KvCache::blocks;

  // Blocks that the sequence holds, reserved ones included; of a swapped-out one the host slots, as many as swap_in()
  // takes at most.
  std::int64_t num_held(SequenceId sequence, int group = 0) const;

  // Makes sure that extend() by up to `count` tokens will succeed, until the next fork() or truncate() of the sequence.
  Status reserve(SequenceId sequence, std::int64_t count);
  // Blocks that can be taken, evicting what nobody refers to.
  std::int64_t free_blocks(int group = 0) const { return pool(group).num_available(); }
  std::int64_t total_blocks(int group = 0) const { return pool(group).num_blocks(); }

  // Puts the longest known chain of full blocks under an empty sequence, which then has them committed, and returns its
  // tokens: a multiple of block_tokens below tokens.size(), so that at least the last token is computed. In a group
  // with a window only the blocks that the next token sees have to be there.
  std::int64_t attach_prefix(SequenceId sequence, std::span<const std::int32_t> tokens);
  // The names of the full blocks of `tokens` in the sequence's scope: what a store is asked for.
  std::vector<BlockHash> prefix_hashes(SequenceId sequence, std::span<const std::int32_t> tokens);
  // The K/V of `tokens`, which follow the committed ones and have room, are in storage. Publishes full blocks and drops
  // those that left a window: a draft is truncated before this.
  void commit(SequenceId sequence, std::span<const std::int32_t> tokens);
  std::vector<PublishedBlock> take_published();

  // Where the sequence's chain of names starts: the parent of its first block.
  const BlockHash& scope(SequenceId sequence) const { return at(sequence).scope; }

  // A sequence with the same tokens, all of which must be committed; it shares every block.
  Result<SequenceId> fork(SequenceId sequence);

  // Copies since the last call, to be carried out in order before the next step writes.
  std::vector<KvCopy> take_copies();

  // Moves a sequence's blocks to host slots and gives back what it had reserved; until swap_in() only length(),
  // committed() and close() may be called on it. kResourceExhausted: too few slots.
  Status swap_out(SequenceId sequence);
  // Brings it back; blocks whose content is still cached are shared instead of copied.
  Status swap_in(SequenceId sequence);
  bool swapped(SequenceId sequence) const { return at(sequence).swapped; }
  // Whether the host has room for it.
  bool can_swap_out(SequenceId sequence) const;

  // Keeps the recurrent state of a sequence whose committed length is its length and a block boundary above 0. False:
  // that one is kept already.
  bool save_checkpoint(SequenceId sequence);

  KvStats stats() const;
  // kInternal naming the first contradiction. Walks everything: for tests and idle times.
  Status check_integrity() const;

 private:
  struct Table {
    std::vector<std::int32_t> ids;  // blocks, or host slots of a swapped sequence
    std::int64_t first = 0;         // entries before were dropped and are 0
  };
  struct Sequence {
    bool open = false;
    bool swapped = false;
    BlockHash scope;
    std::int64_t length = 0;
    std::vector<std::int32_t> tokens;  // committed
    std::vector<BlockHash> chain;      // of the full committed blocks
    std::vector<Table> tables;         // by group
  };
  struct Group {
    BlockPool pool;
    SwapSpace swap;
    std::int64_t window;
  };
  // What reserve() wants of one group.
  struct Demand {
    std::int64_t blocks = 0;
    bool copy = false;      // the partial block at the end is shared or published
    bool withdraw = false;  // no block to copy it to, but nobody else refers to it
  };

  Sequence& at(SequenceId sequence);
  const Sequence& at(SequenceId sequence) const;
  Sequence& resident(SequenceId sequence);
  const BlockPool& pool(int group) const { return groups_[static_cast<std::size_t>(group)].pool; }
  std::int64_t blocks_for(std::int64_t tokens) const {
    return (tokens + options_.block_tokens - 1) / options_.block_tokens;
  }
  // The first block that a token at position `length` sees.
  std::int64_t first_seen(const Group& group, std::int64_t length) const;
  void copy(KvCopyKind kind, std::size_t group, std::int32_t from, std::int32_t to);

  Result<Demand> demand(const Sequence& sequence, std::size_t group, std::int64_t count) const;
  void fulfil(Sequence& sequence, std::size_t group, const Demand& demand);
  void cut_table(Sequence& sequence, std::size_t group, std::int64_t num_entries);
  const BlockHash& tail_hash(const Sequence& sequence) const {
    return sequence.chain.empty() ? sequence.scope : sequence.chain.back();
  }
  std::vector<BlockHash> longest_prefix(const Sequence& sequence, std::span<const std::int32_t> tokens);
  void publish(Sequence& sequence, std::size_t group, std::size_t block, const BlockHash& parent);
  void drop_before_window(Sequence& sequence, std::size_t group);
  Status check_tables(const Sequence& sequence, SequenceId id) const;
  Status check_table(const Sequence& sequence, std::size_t group) const;

  PagedKvOptions options_;
  std::vector<Group> groups_;
  BlockPool checkpoints_;  // all of them cached, by the hash of the boundary
  std::vector<Sequence> sequences_;
  std::vector<SequenceId> closed_;  // a stack
  std::vector<KvCopy> copies_;
  std::vector<PublishedBlock> published_;
  KvStats stats_;
  Sha256 sha_;
};

}  // namespace mlxr
