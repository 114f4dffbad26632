#include "core/kernels/cpu/matmul.h"

#include <algorithm>
#include <cstring>

#include "core/backend/host_weight.h"
#include "core/base/check.h"

namespace mlxr {
namespace {

// Tokens that a tile's results are gathered for before they are written out: bounds a worker's memory, and is large
// enough that decoding the tile again for the next ones costs little.
constexpr std::int64_t kMaxTokens = 512;
// A hand-over between threads costs about a microsecond: time to read this much.
constexpr std::int64_t kMinJobBytes = 16384;
// Neighbouring tiles that a worker takes together, if there are enough for each to come so many times.
constexpr std::int64_t kTileRun = 4;
constexpr std::int64_t kRunsPerWorker = 8;
// Activations below this many elements are quantised by the caller alone.
constexpr std::int64_t kMinSharedElements = 32768;

std::int64_t num_tiles(std::int64_t rows) {
  return (rows + kMaxTileRows - 1) / kMaxTileRows;
}

void write_rows(const float* from, const float* bias, std::int64_t count, float* to) {
  if (bias == nullptr) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = from[i] + bias[i];
}

}  // namespace

struct CpuMatmul::Worker {
  TileScratch scratch;
  alignas(64) float results[2][kMaxTokens * kMaxTileRows];  // [token][row]
};

void CpuMatmul::WorkerDeleter::operator()(Worker* worker) const {
  delete worker;
}

CpuMatmul::CpuMatmul(const CpuFeatures& features, ThreadPool& pool) : kernels_(matmul_kernels(features)), pool_(pool) {
  for (int i = 0; i < pool.num_threads(); ++i)
    workers_.emplace_back(new Worker);
}

CpuMatmul::Plan CpuMatmul::plan(const Weight& weight, const float* bias, float* out, std::int64_t tokens) const {
  const HostWeight& host = HostWeight::of(weight);
  const QuantInfo& info = quant_info(weight.type);
  MLXR_CHECK(info.decode != nullptr, "weights of this type cannot be multiplied");
  Plan plan = {.rows = {.type = weight.type,
                        .data = host.bytes().data(),
                        .row_bytes = host.row_bytes(),
                        .num_rows = 0,
                        .following_rows = 0,
                        .elements = weight.shape[1]},
               .num_rows = weight.shape[0],
               .bias = bias,
               .out = out};
  for (const QuantDotKernel& kernel : kernels_.quantized) {
    if (kernel.type == weight.type) plan.quantized = tokens <= kernels_.few_tokens ? kernel.few : kernel.many;
  }
  for (const FloatDotKernel& kernel : kernels_.floats) {
    if (kernel.type == weight.type) plan.floats = tokens <= kernels_.few_float_tokens ? kernel.few : kernel.many;
  }
  if (plan.quantized == nullptr && plan.floats == nullptr) plan.floats = kernels_.decoded;
  return plan;
}

CpuMatmul::Input CpuMatmul::prepare_input(const float* x, std::int64_t tokens, std::int64_t elements,
                                          std::span<const Plan> plans) {
  Input input = {.floats = x, .stride = elements, .tokens = tokens};
  const auto is_quantized = [](const Plan& plan) { return plan.quantized != nullptr; };
  if (std::any_of(plans.begin(), plans.end(), is_quantized)) {
    quantized_.resize(tokens, elements);
    const std::int64_t grain = std::max<std::int64_t>(1, kMinSharedElements / 2 / elements);
    const auto quantize = [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t t = begin; t < end; ++t)
        kernels_.quantize_row(x + t * elements, elements, quantized_.row(t));
    };
    if (tokens * elements < kMinSharedElements) {
      quantize(0, tokens, 0);
    } else {
      pool_.parallel_for(tokens, grain, quantize);
    }
  }
  if (elements % 16 != 0 && !std::all_of(plans.begin(), plans.end(), is_quantized)) {
    input.stride = (elements + 15) / 16 * 16;
    padded_.assign(static_cast<std::size_t>(tokens * input.stride), 0.0F);
    for (std::int64_t t = 0; t < tokens; ++t)
      std::copy_n(x + t * elements, elements, padded_.data() + t * input.stride);
    input.floats = padded_.data();
  }
  return input;
}

void CpuMatmul::run_tile(const Plan& plan, const Input& input, std::int64_t first_row, std::int64_t first_token,
                         std::int64_t tokens, TileScratch& scratch, float* to) const {
  WeightRows rows = plan.rows;
  rows.data += static_cast<std::size_t>(first_row) * rows.row_bytes;
  rows.num_rows = std::min(kMaxTileRows, plan.num_rows - first_row);
  rows.following_rows = plan.num_rows - first_row;
  const DotOutput out = {to, kMaxTileRows};
  if (plan.quantized != nullptr) {
    plan.quantized(rows, quantized_.row(first_token), tokens, scratch, out);
  } else {
    plan.floats(rows, {input.floats + first_token * input.stride, input.stride}, tokens, scratch, out);
  }
}

std::int64_t CpuMatmul::tile_grain(const Plan& plan, std::int64_t tokens, std::int64_t num_tiles) const {
  const std::int64_t tile_bytes = static_cast<std::int64_t>(plan.rows.row_bytes) * kMaxTileRows;
  const std::int64_t wanted = kMinJobBytes / std::max<std::int64_t>(1, tile_bytes * tokens);
  const std::int64_t share = (num_tiles + pool_.num_threads() - 1) / pool_.num_threads();
  // A worker fetches the tile after the one that it works at, so that it should be its own too.
  const std::int64_t run = std::min(kTileRun, share / kRunsPerWorker);
  return std::clamp<std::int64_t>(wanted, std::max<std::int64_t>(1, run), std::max<std::int64_t>(1, share));
}

void CpuMatmul::multiply(const float* x, std::int64_t tokens, std::span<const Product> products) {
  if (tokens == 0 || products.empty()) return;
  plans_.clear();
  std::int64_t tiles = 0;
  for (const Product& product : products) {
    plans_.push_back(plan(*product.weight, product.bias, product.out, tokens));
    MLXR_CHECK(plans_.back().rows.elements == plans_.front().rows.elements, "products of one x share its width");
    tiles += num_tiles(plans_.back().num_rows);
  }
  const Input input = prepare_input(x, tokens, plans_.front().rows.elements, plans_);
  pool_.parallel_for(
      tiles, tile_grain(plans_.front(), tokens, tiles), [&](std::int64_t begin, std::int64_t end, int w) {
        Worker& worker = *workers_[static_cast<std::size_t>(w)];
        for (std::int64_t tile = begin; tile < end; ++tile) {
          std::int64_t index = tile;
          const Plan* plan = plans_.data();
          for (; index >= num_tiles(plan->num_rows); ++plan)
            index -= num_tiles(plan->num_rows);
          const std::int64_t row = index * kMaxTileRows;
          const std::int64_t count = std::min(kMaxTileRows, plan->num_rows - row);
          for (std::int64_t first = 0; first < tokens; first += kMaxTokens) {
            const std::int64_t n = std::min(kMaxTokens, tokens - first);
            run_tile(*plan, input, row, first, n, worker.scratch, worker.results[0]);
            for (std::int64_t t = 0; t < n; ++t)
              write_rows(worker.results[0] + t * kMaxTileRows, plan->bias == nullptr ? nullptr : plan->bias + row,
                         count, plan->out + (first + t) * plan->num_rows + row);
          }
        }
      });
}

void CpuMatmul::multiply_gated(const float* x, std::int64_t tokens, const Weight& gate, const Weight& up, GatedFn gated,
                               float* out) {
  MLXR_CHECK(gate.shape == up.shape, "gate and up have the same shape");
  if (tokens == 0) return;
  plans_.clear();
  plans_.push_back(plan(gate, nullptr, out, tokens));
  plans_.push_back(plan(up, nullptr, out, tokens));
  const std::int64_t num_rows = gate.shape[0];
  const Input input = prepare_input(x, tokens, gate.shape[1], plans_);
  const std::int64_t tiles = num_tiles(num_rows);
  pool_.parallel_for(tiles, tile_grain(plans_[0], 2 * tokens, tiles), [&](std::int64_t begin, std::int64_t end, int w) {
    Worker& worker = *workers_[static_cast<std::size_t>(w)];
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t row = tile * kMaxTileRows;
      const std::int64_t count = std::min(kMaxTileRows, num_rows - row);
      for (std::int64_t first = 0; first < tokens; first += kMaxTokens) {
        const std::int64_t n = std::min(kMaxTokens, tokens - first);
        run_tile(plans_[0], input, row, first, n, worker.scratch, worker.results[0]);
        run_tile(plans_[1], input, row, first, n, worker.scratch, worker.results[1]);
        for (std::int64_t t = 0; t < n; ++t)
          gated(worker.results[0] + t * kMaxTileRows, worker.results[1] + t * kMaxTileRows, count,
                out + (first + t) * num_rows + row);
      }
    }
  });
}

}  // namespace mlxr
