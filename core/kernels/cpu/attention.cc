#include "core/kernels/cpu/attention.h"

#include <algorithm>
#include <cstring>

#include "core/backend/host_kv_storage.h"
#include "core/backend/kv_codec.h"
#include "core/base/check.h"

namespace mlxr {
namespace {

constexpr std::int64_t kTargetRows = 48;  // a query tile: its scores and sums stay in the L2 cache
// Below this many multiplications a hand-over to other threads costs more than it saves.
constexpr std::int64_t kSerialProducts = 1 << 16;

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// Floats of an AttentionState of `rows` rows; each of its arrays starts 64-byte aligned.
std::int64_t state_floats(std::int64_t rows, std::int64_t acc_stride) {
  return 2 * round_up(rows, 16) + rows * acc_stride;
}

AttentionState state_at(float* memory, std::int64_t rows) {
  const std::int64_t padded = round_up(rows, 16);
  return {memory, memory + padded, memory + 2 * padded};
}

class BatchAttention {
 public:
  BatchAttention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params,
                 const FloatKernels& kernels, ThreadPool& threads, StepPool& pool, const Tensor& out)
      : q_(q),
        view_(view),
        layer_(layer),
        params_(params),
        kernels_(kernels),
        threads_(threads),
        pool_(pool),
        out_(out.data<float>()),
        storage_(HostKvStorage::of(view)),
        block_table_(view.table(layer).block_table),
        dims_(storage_.layout().layers[static_cast<std::size_t>(layer)]),
        rotated_(is_rotated(storage_.layout())),
        cuts_(AttentionCuts::of(storage_.layout().block_tokens)),
        group_(q.dim(1) / dims_.num_kv_heads),
        tile_tokens_(std::max<std::int64_t>(1, kTargetRows / group_)),
        acc_stride_(round_up(dims_.value_dim, 16)) {}

  void run() {
    count_units();
    if (num_units_ == 0) return;
    const std::int64_t ranges = (view_.max_context + cuts_.range - 1) / cuts_.range;
    const std::int64_t products = q_.dim(0) * q_.dim(1) * view_.max_context * (dims_.key_dim + dims_.value_dim);
    const bool serial = threads_.num_threads() == 1 || products < kSerialProducts;
    const bool cut = !serial && ranges > 1 && num_units_ < 4 * threads_.num_threads();
    if (cut) {
      run_cut(ranges);
    } else {
      run_whole(serial);
    }
  }

 private:
  // Query tokens [begin, end) of the sequence's new ones, for one kv head.
  struct Unit {
    std::int64_t sequence;
    std::int64_t kv_head;
    std::int64_t begin;
    std::int64_t end;
  };

  std::int64_t new_tokens(std::int64_t sequence) const {
    const auto* starts = view_.query_start.data<std::int32_t>();
    return starts[sequence + 1] - starts[sequence];
  }
  std::int64_t num_sequences() const { return view_.context_len.dim(0); }

  void count_units() {
    std::int64_t longest = 0;
    for (std::int64_t s = 0; s < num_sequences(); ++s) {
      longest = std::max(longest, new_tokens(s));
      num_units_ += (new_tokens(s) + tile_tokens_ - 1) / tile_tokens_ * dims_.num_kv_heads;
    }
    max_rows_ = std::min(longest, tile_tokens_) * group_;
  }

  // Units in order of sequence, tile (the last, which sees most, first) and head.
  Unit find_unit(std::int64_t index) const {
    for (std::int64_t s = 0; s < num_sequences(); ++s) {
      const std::int64_t tiles = (new_tokens(s) + tile_tokens_ - 1) / tile_tokens_;
      if (index < tiles * dims_.num_kv_heads) {
        const std::int64_t begin = (tiles - 1 - index / dims_.num_kv_heads) * tile_tokens_;
        return {s, index % dims_.num_kv_heads, begin, std::min(begin + tile_tokens_, new_tokens(s))};
      }
      index -= tiles * dims_.num_kv_heads;
    }
    check_failed(__FILE__, __LINE__, "index < num_units", "attention units are numbered from 0");
  }

  std::int64_t first_row(const Unit& unit) const {
    return view_.query_start.data<std::int32_t>()[unit.sequence] + unit.begin;
  }

  // `memory` has scratch_floats(); nullptr for a task that is not run.
  AttentionTask make_task(const Unit& unit, float* memory) const {
    AttentionTask task;
    task.type = storage_.layout().type;
    if (memory != nullptr) {
      float* rows = memory + scores_floats();
      const auto row_bytes = static_cast<std::size_t>(group_ * dims_.key_dim) * sizeof(float);
      for (std::int64_t t = 0; t < unit.end - unit.begin; ++t) {
        const std::int64_t head = (first_row(unit) + t) * q_.dim(1) + unit.kv_head * group_;
        float* to = rows + t * group_ * dims_.key_dim;
        std::memcpy(to, q_.data<float>() + head * dims_.key_dim, row_bytes);
        for (std::int64_t g = 0; rotated_ && g < group_; ++g)
          hadamard(to + g * dims_.key_dim, dims_.key_dim);
      }
      task.q = rows;
      task.scores = memory;
    }
    task.num_tokens = unit.end - unit.begin;
    task.group = group_;
    task.first_position =
        view_.context_len.data<std::int32_t>()[unit.sequence] - new_tokens(unit.sequence) + unit.begin;
    task.blocks = block_table_.data<std::int32_t>() + unit.sequence * block_table_.dim(1);
    task.keys = storage_.key_tile(layer_, 0, unit.kv_head);
    task.values = storage_.value_tile(layer_, 0, unit.kv_head);
    task.key_block_bytes = storage_.key_block_bytes(layer_);
    task.value_block_bytes = storage_.value_block_bytes(layer_);
    task.cuts = cuts_;
    task.key_stride = storage_.key_stride();
    task.key_dim = dims_.key_dim;
    task.value_dim = dims_.value_dim;
    task.scale = params_.scale;
    task.softcap = params_.softcap;
    task.window = params_.window;
    task.acc_stride = acc_stride_;
    return task;
  }

  // The ranges [first, last] that some query of the task sees.
  std::int64_t first_range(const AttentionTask& task) const {
    const std::int64_t oldest = params_.window > 0 ? task.first_position - params_.window + 1 : 0;
    return std::max<std::int64_t>(0, oldest) / cuts_.range;
  }
  std::int64_t last_range(const AttentionTask& task) const {
    return (task.first_position + task.num_tokens - 1) / cuts_.range;
  }
  void set_range(AttentionTask& task, std::int64_t range) const {
    task.range_begin = range * cuts_.range;
    task.range_end = task.range_begin + cuts_.range;
  }

  void finish(const Unit& unit, const AttentionState& state) const {
    const std::int64_t rows = (unit.end - unit.begin) * group_;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t token = first_row(unit) + r / group_;
      const std::int64_t head = unit.kv_head * group_ + r % group_;
      float* to = out_ + (token * q_.dim(1) + head) * dims_.value_dim;
      kernels_.finish(state.acc + r * acc_stride_, state.sums[r], dims_.value_dim, to);
      if (rotated_) hadamard(to, dims_.value_dim);
    }
  }

  std::int64_t scores_floats() const { return max_rows_ * kAttentionTile; }
  // Scores and queries of a task.
  std::int64_t scratch_floats() const { return scores_floats() + round_up(max_rows_ * dims_.key_dim, 16); }

  void run_whole(bool serial) {
    const std::int64_t state = state_floats(max_rows_, acc_stride_);
    const std::int64_t each = round_up(scratch_floats() + 2 * state, 16);
    const std::int64_t workers = serial ? 1 : threads_.num_threads();
    const Tensor scratch = pool_.alloc({workers, each}, DType::kF32);
    const auto job = [&](std::int64_t begin, std::int64_t end, int worker) {
      float* memory = scratch.data<float>() + (serial ? 0 : worker) * each;
      const AttentionState total = state_at(memory + scratch_floats(), max_rows_);
      const AttentionState part = state_at(memory + scratch_floats() + state, max_rows_);
      for (std::int64_t i = begin; i < end; ++i) {
        const Unit unit = find_unit(i);
        AttentionTask task = make_task(unit, memory);
        const std::int64_t first = first_range(task);
        const std::int64_t last = last_range(task);
        for (std::int64_t range = first; range <= last; ++range) {
          set_range(task, range);
          kernels_.attend(task, range == first ? total : part);
          if (range > first) kernels_.merge(task.num_tokens * group_, acc_stride_, part, total);
        }
        finish(unit, total);
      }
    };
    if (serial) {
      job(0, num_units_, 0);
    } else {
      threads_.parallel_for(num_units_, 1, job);
    }
  }

  void run_cut(std::int64_t ranges) {
    const std::int64_t state = state_floats(max_rows_, acc_stride_);
    const Tensor scratch = pool_.alloc({threads_.num_threads(), scratch_floats()}, DType::kF32);
    const Tensor parts = pool_.alloc({num_units_ * ranges, round_up(state, 16)}, DType::kF32);
    const auto part_of = [&](std::int64_t unit, std::int64_t range) {
      return state_at(parts.data<float>() + (unit * ranges + range) * parts.dim(1), max_rows_);
    };
    threads_.parallel_for(num_units_ * ranges, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
      for (std::int64_t i = begin; i < end; ++i) {
        AttentionTask task = make_task(find_unit(i / ranges), scratch.data<float>() + worker * scratch_floats());
        const std::int64_t range = i % ranges;
        if (range < first_range(task) || range > last_range(task)) continue;
        set_range(task, range);
        kernels_.attend(task, part_of(i / ranges, range));
      }
    });
    for (std::int64_t i = 0; i < num_units_; ++i) {
      const Unit unit = find_unit(i);
      const AttentionTask task = make_task(unit, nullptr);
      const AttentionState total = part_of(i, first_range(task));
      for (std::int64_t range = first_range(task) + 1; range <= last_range(task); ++range)
        kernels_.merge(task.num_tokens * group_, acc_stride_, part_of(i, range), total);
      finish(unit, total);
    }
  }

  const Tensor& q_;
  const KvView& view_;
  std::int64_t layer_;
  const AttentionParams& params_;
  const FloatKernels& kernels_;
  ThreadPool& threads_;
  StepPool& pool_;
  float* out_;
  const HostKvStorage& storage_;
  const Tensor& block_table_;
  const KvLayerLayout& dims_;
  bool rotated_;
  AttentionCuts cuts_;
  std::int64_t group_;
  std::int64_t tile_tokens_;
  std::int64_t acc_stride_;
  std::int64_t num_units_ = 0;
  std::int64_t max_rows_ = 0;  // of a unit
};

}  // namespace

void attend_batch(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params,
                  const FloatKernels& kernels, ThreadPool& threads, StepPool& scratch_pool, const Tensor& out) {
  BatchAttention(q, view, layer, params, kernels, threads, scratch_pool, out).run();
}

}  // namespace mlxr
