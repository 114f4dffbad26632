#include "core/kernels/cpu/matmul.h"

#include <algorithm>
#include <cstring>

#include "core/backend/host_weight.h"
#include "core/base/check.h"
#include "core/kernels/cpu/activation_panel.h"

namespace mlxr {
namespace {

// Tokens that a tile's results are gathered for before they are written out: bounds a worker's memory, and is large
// enough that decoding the tile again for the next ones costs little.
constexpr std::int64_t kMaxTokens = 512;
// A hand-over between threads costs about a microsecond: time to read this much.
constexpr std::int64_t kMinJobBytes = 16384;
// A worker takes this part of its share of what is left: long runs first, since it fetches the tile after the one that
// it works at, and short ones towards the end, so that all finish together.
constexpr std::int64_t kRunsPerShare = 2;
// Pages are read from for so many tiles at once, since each is a wait of its own otherwise.
constexpr std::int64_t kTouchedTiles = 4;
constexpr std::size_t kPageBytes = 4096;
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
  plan.prefetches = plan.quantized != nullptr && kernels_.make_panel != nullptr && tokens > kernels_.few_tokens;
  if (plan.quantized == nullptr && plan.floats == nullptr) plan.floats = kernels_.decoded;
  return plan;
}

void CpuMatmul::quantize_rows(const float* x, std::int64_t tokens, std::int64_t elements) {
  quantized_.resize(tokens, elements);
  const auto quantize = [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t)
      kernels_.quantize_row(x + t * elements, elements, quantized_.row(t));
  };
  if (tokens * elements < kMinSharedElements) {
    quantize(0, tokens, 0);
  } else {
    pool_.parallel_for(tokens, std::max<std::int64_t>(1, kMinSharedElements / 2 / elements), quantize);
  }
}

void CpuMatmul::quantize_panels(const float* x, std::int64_t tokens, std::int64_t elements) {
  const std::int64_t panels = (tokens + kPanelTokens - 1) / kPanelTokens;
  quantized_.resize(panels * kPanelTokens, elements);
  const std::int64_t groups = quantized_.groups_per_row();
  const auto quantize = [&](std::int64_t begin, std::int64_t end, int) {
    ActivationGroup rows[kPanelTokens];
    for (std::int64_t index = begin; index < end; ++index) {
      const std::int64_t first_token = index / groups * kPanelTokens;
      const std::int64_t first = index % groups * kGroupElements;
      for (std::int64_t t = 0; t < kPanelTokens; ++t) {
        if (first_token + t < tokens) {
          kernels_.quantize_row(x + (first_token + t) * elements + first, std::min(kGroupElements, elements - first),
                                &rows[t]);
        } else {
          rows[t] = {};
        }
      }
      kernels_.make_panel(rows, quantized_.panel(first_token / kPanelTokens, index % groups));
    }
  };
  constexpr std::int64_t kGroup = kPanelTokens * kGroupElements;
  if (tokens * elements < kMinSharedElements) {
    quantize(0, panels * groups, 0);
  } else {
    pool_.parallel_for(panels * groups, kMinSharedElements / 4 / kGroup, quantize);
  }
}

CpuMatmul::Input CpuMatmul::prepare_input(const float* x, std::int64_t tokens, std::int64_t elements,
                                          std::span<const Plan> plans) {
  Input input = {.floats = x, .stride = elements, .tokens = tokens};
  const auto is_quantized = [](const Plan& plan) { return plan.quantized != nullptr; };
  if (std::any_of(plans.begin(), plans.end(), is_quantized)) {
    if (kernels_.make_panel != nullptr && tokens > kernels_.few_tokens) {
      quantize_panels(x, tokens, elements);
    } else {
      quantize_rows(x, tokens, elements);
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
                         std::int64_t tokens, TileScratch& scratch, DotOutput out) const {
  WeightRows rows = plan.rows;
  rows.data += static_cast<std::size_t>(first_row) * rows.row_bytes;
  rows.num_rows = std::min(kMaxTileRows, plan.num_rows - first_row);
  rows.following_rows = plan.num_rows - first_row;
  if (plan.quantized != nullptr) {
    plan.quantized(rows, quantized_.row(first_token), tokens, scratch, out);
  } else {
    plan.floats(rows, {input.floats + first_token * input.stride, input.stride}, tokens, scratch, out);
  }
}

void CpuMatmul::cut_runs(std::int64_t num_tiles, std::int64_t tile_bytes, std::int64_t tokens) {
  const std::int64_t least = std::max<std::int64_t>(1, kMinJobBytes / std::max<std::int64_t>(1, tile_bytes * tokens));
  runs_.clear();
  for (std::int64_t tile = 0; tile < num_tiles;) {
    runs_.push_back(tile);
    const std::int64_t left = num_tiles - tile;
    const std::int64_t share = (left + pool_.num_threads() - 1) / pool_.num_threads();
    tile += std::max(share / kRunsPerShare, std::min(least, share));
  }
  runs_.push_back(num_tiles);
}

void CpuMatmul::touch_pages(const Plan& plan, std::int64_t tile, bool starts_run) {
  if (!plan.prefetches || (tile % kTouchedTiles != 0 && !starts_run)) return;
  const auto offset = [&](std::int64_t of_tile) {
    return static_cast<std::size_t>(std::min(of_tile * kMaxTileRows, plan.num_rows)) * plan.rows.row_bytes;
  };
  const volatile std::byte* at = plan.rows.data + offset(starts_run ? tile : tile + 1);
  const volatile std::byte* end = plan.rows.data + offset(tile / kTouchedTiles * kTouchedTiles + kTouchedTiles + 1);
  for (; at < end; at += kPageBytes)
    static_cast<void>(*at);
}

void CpuMatmul::for_tiles(TileJob job) {
  pool_.parallel_for(std::ssize(runs_) - 1, 1, [&](std::int64_t begin, std::int64_t end, int w) {
    Worker& worker = *workers_[static_cast<std::size_t>(w)];
    const std::int64_t last = runs_[static_cast<std::size_t>(end)];
    const std::int64_t first = runs_[static_cast<std::size_t>(begin)];
    for (std::int64_t tile = first; tile < last; ++tile)
      job(tile, tile == first, worker);
  });
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
  cut_runs(tiles, static_cast<std::int64_t>(plans_.front().rows.row_bytes) * kMaxTileRows, tokens);
  for_tiles([&](std::int64_t tile, bool starts_run, Worker& worker) {
    const Plan* plan = plans_.data();
    for (; tile >= num_tiles(plan->num_rows); ++plan)
      tile -= num_tiles(plan->num_rows);
    const std::int64_t row = tile * kMaxTileRows;
    const std::int64_t count = std::min(kMaxTileRows, plan->num_rows - row);
    touch_pages(*plan, tile, starts_run || tile == 0);
    for (std::int64_t first = 0; first < tokens; first += kMaxTokens) {
      const std::int64_t n = std::min(kMaxTokens, tokens - first);
      const DotOutput out = {plan->out + first * plan->num_rows + row, plan->num_rows};
      if (plan->bias == nullptr && count == kMaxTileRows) {
        run_tile(*plan, input, row, first, n, worker.scratch, out);
        continue;
      }
      run_tile(*plan, input, row, first, n, worker.scratch, {worker.results[0], kMaxTileRows});
      for (std::int64_t t = 0; t < n; ++t)
        write_rows(worker.results[0] + t * kMaxTileRows, plan->bias == nullptr ? nullptr : plan->bias + row, count,
                   out.data + t * out.stride);
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
  cut_runs(num_tiles(num_rows), static_cast<std::int64_t>(plans_[0].rows.row_bytes) * kMaxTileRows, 2 * tokens);
  for_tiles([&](std::int64_t tile, bool starts_run, Worker& worker) {
    const std::int64_t row = tile * kMaxTileRows;
    const std::int64_t count = std::min(kMaxTileRows, num_rows - row);
    touch_pages(plans_[0], tile, starts_run);
    touch_pages(plans_[1], tile, starts_run);
    for (std::int64_t first = 0; first < tokens; first += kMaxTokens) {
      const std::int64_t n = std::min(kMaxTokens, tokens - first);
      run_tile(plans_[0], input, row, first, n, worker.scratch, {worker.results[0], kMaxTileRows});
      run_tile(plans_[1], input, row, first, n, worker.scratch, {worker.results[1], kMaxTileRows});
      for (std::int64_t t = 0; t < n; ++t)
        gated(worker.results[0] + t * kMaxTileRows, worker.results[1] + t * kMaxTileRows, count,
              out + (first + t) * num_rows + row);
    }
  });
}

}  // namespace mlxr
