#pragma once
// CpuMatmul: products of activations with weights as the file stores them, on all threads of a pool.
//
// Float weights (F32, F16, BF16) and types without integer kernels meet f32 activations; quantised types meet
// activations in 8 bits with a scale for every 32 elements (quantized_rows.h). Work is split by tiles of 32 rows of the
// weights, so that each thread writes whole cache lines. matmul_kernels.h says how a result is summed: its bits depend
// neither on the other tokens of the call nor on the number of threads.
//
// Weights must have been prepared as HostWeight; a repacked layout would be another PreparedWeight that run_tile()
// knows. One thread calls at a time; scratch memory is the object's own and grows to the largest call.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/backend/weight.h"
#include "core/base/cpu_features.h"
#include "core/base/function_ref.h"
#include "core/base/thread_pool.h"
#include "core/kernels/cpu/matmul_kernels.h"
#include "core/kernels/cpu/quantized_rows.h"

namespace mlxr {

class CpuMatmul {
 public:
  // `features` is what kernels may use. The pool must outlive this object.
  CpuMatmul(const CpuFeatures& features, ThreadPool& pool);

  // out = x weight^T + bias
  struct Product {
    const Weight* weight;         // [out, in] of a type that decodes
    const float* bias = nullptr;  // [out], or none
    float* out;                   // [tokens, out]
  };
  // out[i] of act(gate) and up: out[i] = act(gate[i]) * up[i]
  using GatedFn = void (*)(const float* gate, const float* up, std::int64_t count, float* out);

  // Several products of x [tokens, in], which is quantised once; all weights have the same `in`.
  void multiply(const float* x, std::int64_t tokens, std::span<const Product> products);
  // out [tokens, out] = gated(x gate^T, x up^T); gate and up have the same shape.
  void multiply_gated(const float* x, std::int64_t tokens, const Weight& gate, const Weight& up, GatedFn gated,
                      float* out);

  // Name of the kernels in use: "avx2".
  const char* kernels_name() const { return kernels_.name; }

 private:
  // A product as tiles see it.
  struct Plan {
    WeightRows rows;  // all rows
    std::int64_t num_rows;
    QuantDotFn quantized = nullptr;
    FloatDotFn floats = nullptr;
    bool prefetches = false;  // the kernel fetches the next tile, if its pages are in the TLB
    const float* bias;
    float* out;
  };
  struct Worker;
  struct WorkerDeleter {
    void operator()(Worker* worker) const;
  };
  struct Input {
    const float* floats;  // the caller's x, or padded_
    std::int64_t stride;
    std::int64_t tokens;
  };

  Plan plan(const Weight& weight, const float* bias, float* out, std::int64_t tokens) const;
  // Brings x into the forms that the plans read.
  Input prepare_input(const float* x, std::int64_t tokens, std::int64_t elements, std::span<const Plan> plans);
  void quantize_rows(const float* x, std::int64_t tokens, std::int64_t elements);
  void quantize_panels(const float* x, std::int64_t tokens, std::int64_t elements);
  // Results of rows [first_row, first_row + kMaxTileRows) for some tokens.
  void run_tile(const Plan& plan, const Input& input, std::int64_t first_row, std::int64_t first_token,
                std::int64_t tokens, TileScratch& scratch, DotOutput out) const;
  // Cuts the tiles of a call into runs_.
  void cut_runs(std::int64_t num_tiles, std::int64_t tile_bytes, std::int64_t tokens);
  using TileJob = FunctionRef<void(std::int64_t tile, bool starts_run, Worker& worker)>;
  // Calls job for every tile, on all threads.
  void for_tiles(TileJob job);
  // Brings the pages of this tile, at the start of a run, and of the next few into the TLB.
  static void touch_pages(const Plan& plan, std::int64_t tile, bool starts_run);

  const MatmulKernels& kernels_;
  ThreadPool& pool_;
  QuantizedRows quantized_;
  std::vector<float> padded_;
  std::vector<Plan> plans_;
  std::vector<std::int64_t> runs_;  // where each run of neighbouring tiles begins, and the end
  std::vector<std::unique_ptr<Worker, WorkerDeleter>> workers_;
};

}  // namespace mlxr
