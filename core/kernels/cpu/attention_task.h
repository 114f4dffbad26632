#pragma once
// What an attention kernel computes at a time: a run of query tokens of one sequence, all query heads of one kv head,
// against a range of that sequence's positions. Plain data between attention.cc and the kernels of each instruction
// set (attention_kernel.inl.h).

#include <cstddef>
#include <cstdint>

#include "core/backend/kv_type.h"

namespace mlxr {

// Positions that are scored before the running maximum moves.
inline constexpr std::int64_t kAttentionTile = 64;

// How positions are cut, by the size of a block alone. Cuts are at fixed positions of the sequence, so that neither the
// number of queries nor that of threads changes a bit of the result.
struct AttentionCuts {
  std::int64_t block_tokens = 0;
  // A tile is kAttentionTile positions in several whole blocks; otherwise it lies inside one block, which begins with
  // a new tile.
  bool tile_spans_blocks = false;
  // Positions whose partial result is made from nothing and then merged into the total in ascending order: 512, or as
  // many whole blocks as have that.
  std::int64_t range = 0;

  static AttentionCuts of(std::int64_t block_tokens) {
    const bool spans = block_tokens % 16 == 0 && block_tokens < kAttentionTile && kAttentionTile % block_tokens == 0;
    constexpr std::int64_t kRange = 512;
    const bool whole_tiles = spans || block_tokens % kAttentionTile == 0;
    const std::int64_t range = whole_tiles ? kRange : (kRange + block_tokens - 1) / block_tokens * block_tokens;
    return {block_tokens, spans, range};
  }
};

// Softmax in progress: out = acc / sum. Row (token t, head g of the group) is row t * group + g.
struct AttentionState {
  float* maxima = nullptr;  // [rows], of score * log2(e); -infinity: no position seen
  float* sums = nullptr;    // [rows], of 2^(score * log2(e) - maximum)
  float* acc = nullptr;     // [rows, acc_stride], of the same power * value
};

struct AttentionTask {
  KvType type = KvType::kF32;
  const float* q = nullptr;  // [rows, key_dim], without gaps: strides of whole pages would fall on the same cache sets
  std::int64_t num_tokens = 0;
  std::int64_t group = 0;
  std::int64_t first_position = 0;  // of token 0; token t stands at first_position + t
  std::int64_t range_begin = 0;     // a multiple of cuts.range
  std::int64_t range_end = 0;       // the next one

  const std::int32_t* blocks = nullptr;  // of the sequence
  const std::byte* keys = nullptr;       // tile of this kv head in block 0 (kv_storage layouts)
  const std::byte* values = nullptr;     // likewise
  std::size_t key_block_bytes = 0;
  std::size_t value_block_bytes = 0;
  AttentionCuts cuts;
  std::int64_t key_stride = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;

  float scale = 1.0F;
  float softcap = 0.0F;
  std::int64_t window = 0;

  float* scores = nullptr;      // scratch [rows, kAttentionTile]
  std::int64_t acc_stride = 0;  // value_dim rounded up to 16
};

}  // namespace mlxr
