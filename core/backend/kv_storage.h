#pragma once
// Storage of keys and values, and the view of it that one step computes with. Storage is paged from the start: a pool
// of blocks of `block_tokens` tokens for each group of layers; a sequence is a row of block ids in each group. Which
// block belongs to whom is the business of core/runtime/kv, in integers only; a backend sees ids.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/backend/kv_type.h"
#include "core/base/status.h"
#include "core/tensor/tensor.h"

namespace mlxr {

// Layers of one group keep the same tokens: all of them, or those of a window. Uniform models have one group.
inline constexpr std::size_t kMaxKvGroups = 4;

struct KvLayerLayout {
  std::int64_t num_kv_heads = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;
  std::int64_t group = 0;

  friend bool operator==(const KvLayerLayout&, const KvLayerLayout&) = default;
};

struct KvLayout {
  std::vector<KvLayerLayout> layers;
  std::vector<std::int64_t> num_blocks;  // of each group
  std::int64_t block_tokens = 32;
  KvType type = KvType::kF16;
  // Four-bit codes are of keys and values turned by a Hadamard matrix (kv_codec.h); without it only to measure its use.
  bool rotate = true;

  std::int64_t num_groups() const { return static_cast<std::int64_t>(num_blocks.size()); }
  // Of all layers' keys and values, padding not included; 0 for a layer that the type cannot hold.
  std::size_t bytes() const;
  // Keys and values of one token in all layers.
  std::size_t bytes_per_token() const;
};

// Made by Backend::make_kv_storage; the layout of the bytes is the backend's own. One engine thread makes all calls,
// between steps. `group` and `block` exist (checked).
class KvStorage {
 public:
  explicit KvStorage(KvLayout layout) : layout_(std::move(layout)) {}
  virtual ~KvStorage() = default;
  const KvLayout& layout() const { return layout_; }

  // What read_block gives: the keys and values of one block in all layers of the group.
  virtual std::size_t block_bytes(std::int64_t group) const = 0;
  // Copies a block out and in. The bytes of one storage are good for any other with the same fingerprint. They are not
  // looked at: bytes from outside need a checksum. kInvalidArgument when the size is not block_bytes(group).
  virtual Status read_block(std::int64_t group, std::int64_t block, std::span<std::byte> out) = 0;
  virtual Status write_block(std::int64_t group, std::int64_t block, std::span<const std::byte> bytes) = 0;
  virtual void copy_block(std::int64_t group, std::int64_t from, std::int64_t to) = 0;
  // Names everything that gives a block's bytes their meaning (the number of blocks has no part in it). One line.
  virtual std::string fingerprint() const = 0;

 private:
  KvLayout layout_;
};

// Where the sequences of a step have their tokens in one group of layers.
struct KvGroupView {
  Tensor block_table;  // i32 [num_sequences, max_blocks]: block ids of each sequence in order
  Tensor slots;        // i32 [tokens]: block id * block_tokens + offset, where each new token is written
};

// The part of the storage that one step reads and writes. The i32 tensors are inputs of the step: a captured graph
// replays with new contents at the same addresses. Tokens of one sequence are adjacent in the batch.
struct KvView {
  KvStorage* storage = nullptr;
  std::array<KvGroupView, kMaxKvGroups> groups;  // those of the storage's layout are filled
  Tensor query_start;            // i32 [num_sequences + 1]: first batch row of each sequence, then the number of tokens
  Tensor context_len;            // i32 [num_sequences]: tokens in the cache after this step's kv_write
  std::int64_t max_context = 0;  // host copy of the largest context_len, for launch geometry

  const KvLayerLayout& layer_layout(std::int64_t layer) const {
    return storage->layout().layers[static_cast<std::size_t>(layer)];
  }
  const KvGroupView& table(std::int64_t layer) const {
    return groups[static_cast<std::size_t>(layer_layout(layer).group)];
  }
};

}  // namespace mlxr
