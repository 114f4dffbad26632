#include "core/kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/backend/host_weight.h"
#include "core/backend/reference/reference_backend.h"
#include "core/base/thread_pool.h"
#include "core/kernels/cpu/attention.h"
#include "core/kernels/cpu/float_kernels.h"
#include "core/kernels/cpu/kv_write.h"
#include "core/kernels/cpu/matmul.h"

namespace mlxr {
namespace {

// Costs in elements of simple arithmetic, about a tenth of a nanosecond each with vectors.
constexpr std::int64_t kSerialCost = 1 << 15;  // below it a hand-over to other threads does not pay
constexpr std::int64_t kGrainCost = 1 << 13;   // what a thread takes at a time
constexpr std::int64_t kExpCost = 4;
constexpr std::int64_t kScatterCost = 4;
constexpr std::int64_t kLibmCost = 200;  // the C library's functions, an element at a time

class CpuBackend : public ReferenceBackend {
 public:
  CpuBackend(const CpuFeatures& features, int num_threads)
      : features_(features),
        kernels_(float_kernels(features)),
        threads_({.num_threads = num_threads}),
        products_(features, threads_) {}

  std::string name() const override { return "cpu"; }
  std::string description() const override {
    const int n = threads_.num_threads();
    return std::string("cpu: ") + isa_name(best_isa(features_)) + ", " + std::to_string(n) +
           (n == 1 ? " thread" : " threads");
  }

  Tensor embed(const Tensor& ids, const Weight& table) override;
  Tensor matmul(const Tensor& x, const Weight& w, const Tensor& bias) override;
  void matmul_shared(const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                     std::span<Tensor> out) override;
  Tensor gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) override;
  Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) override;
  SumAndNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps) override;
  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) override;
  Tensor rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) override;
  Tensor rope(const Tensor& x, const Tensor& table, RopeStyle style) override;
  void kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) override;
  Tensor attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) override;
  Tensor activate(const Tensor& x, Activation act) override;
  Tensor gated(const Tensor& gate, const Tensor& up, Activation act) override;
  Tensor add(const Tensor& a, const Tensor& b) override;
  Tensor scale(const Tensor& x, float factor) override;
  Tensor softcap(const Tensor& x, float cap) override;
  Tensor gather_rows(const Tensor& x, const Tensor& rows) override;

 private:
  // Runs job over [0, n) on as many threads as `item_cost` each is worth.
  void share(std::int64_t n, std::int64_t item_cost, ThreadPool::RangeJob job) {
    if (n * item_cost < kSerialCost || threads_.num_threads() == 1) {
      job(0, n, 0);
    } else {
      threads_.parallel_for(n, std::max<std::int64_t>(1, kGrainCost / item_cost), job);
    }
  }
  // The same over the elements of an array, in pieces of 16.
  template <class Fn>
  Tensor map(const Tensor& x, std::int64_t element_cost, Fn fn);

  CpuFeatures features_;
  const FloatKernels& kernels_;
  ThreadPool threads_;
  CpuMatmul products_;
  std::vector<CpuMatmul::Product> shared_;  // scratch of matmul_shared
};

template <class Fn>
Tensor CpuBackend::map(const Tensor& x, std::int64_t element_cost, Fn fn) {
  constexpr std::int64_t kPiece = 16;
  Tensor out = alloc(x.shape(), DType::kF32);
  const std::int64_t n = x.shape().num_elements();
  const float* from = x.data<float>();
  float* to = out.data<float>();
  share((n + kPiece - 1) / kPiece, kPiece * element_cost, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    const std::int64_t first = begin * kPiece;
    fn(from + first, first, std::min(end * kPiece, n) - first, to + first);
  });
  return out;
}

Tensor CpuBackend::embed(const Tensor& ids, const Weight& table) {
  const HostWeight& host = HostWeight::of(table);
  const std::int64_t width = table.shape[1];
  Tensor out = alloc({ids.dim(0), width}, DType::kF32);
  share(ids.dim(0), width * kExpCost, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t t = begin; t < end; ++t) {
      decode_row(table.type, host.row(ids.data<std::int32_t>()[t]),
                 {out.data<float>() + t * width, static_cast<std::size_t>(width)});
    }
  });
  return out;
}

Tensor CpuBackend::matmul(const Tensor& x, const Weight& w, const Tensor& bias) {
  Tensor out = alloc({x.dim(0), w.shape[0]}, DType::kF32);
  const CpuMatmul::Product product{&w, bias ? bias.data<float>() : nullptr, out.data<float>()};
  products_.multiply(x.data<float>(), x.dim(0), {&product, 1});
  return out;
}

void CpuBackend::matmul_shared(const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                               std::span<Tensor> out) {
  shared_.clear();
  for (std::size_t i = 0; i < ws.size(); ++i) {
    out[i] = alloc({x.dim(0), ws[i]->shape[0]}, DType::kF32);
    shared_.push_back({ws[i], biases[i] ? biases[i].data<float>() : nullptr, out[i].data<float>()});
  }
  products_.multiply(x.data<float>(), x.dim(0), shared_);
}

Tensor CpuBackend::gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) {
  Tensor out = alloc({x.dim(0), gate.shape[0]}, DType::kF32);
  products_.multiply_gated(x.data<float>(), x.dim(0), gate, up, gated_fn(kernels_, act), out.data<float>());
  return out;
}

Tensor CpuBackend::rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const std::int64_t n = x.shape().back();
  share(x.shape().rows(), n, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t r = begin; r < end; ++r) {
      kernels_.rms_norm(x.data<float>() + r * n, nullptr, nullptr, weight.data<float>(), eps, n,
                        out.data<float>() + r * n);
    }
  });
  return out;
}

SumAndNorm CpuBackend::add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps) {
  SumAndNorm out{alloc(a.shape(), DType::kF32), alloc(a.shape(), DType::kF32)};
  const std::int64_t n = a.shape().back();
  share(a.shape().rows(), 2 * n, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t r = begin; r < end; ++r) {
      kernels_.rms_norm(a.data<float>() + r * n, b.data<float>() + r * n, out.sum.data<float>() + r * n,
                        weight.data<float>(), eps, n, out.norm.data<float>() + r * n);
    }
  });
  return out;
}

Tensor CpuBackend::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const std::int64_t n = x.shape().back();
  const float* b = bias ? bias.data<float>() : nullptr;
  share(x.shape().rows(), 2 * n, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t r = begin; r < end; ++r)
      kernels_.layer_norm(x.data<float>() + r * n, weight.data<float>(), b, eps, n, out.data<float>() + r * n);
  });
  return out;
}

// The reference's arithmetic: angles grow to the length of the context, where a short polynomial would lose digits.
Tensor CpuBackend::rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) {
  const std::int64_t half = inv_freq.shape().back();
  const std::int64_t freq_stride = inv_freq.shape().rank() == 1 ? 0 : half;
  Tensor out = alloc({positions.dim(0), 2 * half}, DType::kF32);
  share(positions.dim(0), 2 * half * kLibmCost, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* freq = inv_freq.data<float>() + t * freq_stride;
      float* to = out.data<float>() + t * 2 * half;
      const auto position = static_cast<float>(positions.data<std::int32_t>()[t]);
      for (std::int64_t i = 0; i < half; ++i) {
        const auto angle = static_cast<double>(position * freq[i]);
        to[i] = static_cast<float>(std::cos(angle) * static_cast<double>(magnitude));
        to[half + i] = static_cast<float>(std::sin(angle) * static_cast<double>(magnitude));
      }
    }
  });
  return out;
}

Tensor CpuBackend::rope(const Tensor& x, const Tensor& table, RopeStyle style) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const std::int64_t heads = x.dim(1);
  const std::int64_t head_dim = x.dim(2);
  const std::int64_t dim = table.dim(1);
  const Tensor pairs = alloc({threads_.num_threads(), 2 * dim}, DType::kF32);
  share(x.dim(0), heads * head_dim, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t t = begin; t < end; ++t) {
      kernels_.rope(x.data<float>() + t * heads * head_dim, table.data<float>() + t * dim, style, heads, head_dim, dim,
                    pairs.data<float>() + worker * 2 * dim, out.data<float>() + t * heads * head_dim);
    }
  });
  return out;
}

void CpuBackend::kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) {
  const KvLayerLayout& dims = view.storage->layout().layers[static_cast<std::size_t>(layer)];
  const Tensor scratch = alloc({threads_.num_threads(), kv_write_scratch(dims)}, DType::kF32);
  share(dims.num_kv_heads, k.dim(0) * (dims.key_dim * kScatterCost + dims.value_dim),
        [&](std::int64_t begin, std::int64_t end, int worker) {
          for (std::int64_t h = begin; h < end; ++h)
            write_kv_head(k, v, view, layer, h, kernels_, scratch.data<float>() + worker * scratch.dim(1));
        });
}

Tensor CpuBackend::attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) {
  const KvLayerLayout& dims = view.storage->layout().layers[static_cast<std::size_t>(layer)];
  Tensor out = alloc({q.dim(0), q.dim(1), dims.value_dim}, DType::kF32);
  attend_batch(q, view, layer, params, kernels_, threads_, pool(), out);
  return out;
}

Tensor CpuBackend::activate(const Tensor& x, Activation act) {
  const ActivateFn fn = activate_fn(kernels_, act);
  return map(x, act == Activation::kGelu ? kLibmCost : kExpCost,
             [&](const float* from, std::int64_t /*first*/, std::int64_t n, float* to) { fn(from, n, to); });
}

Tensor CpuBackend::gated(const Tensor& gate, const Tensor& up, Activation act) {
  const GatedFn fn = gated_fn(kernels_, act);
  return map(gate, act == Activation::kGelu ? kLibmCost : kExpCost,
             [&](const float* from, std::int64_t first, std::int64_t n, float* to) {
               fn(from, up.data<float>() + first, n, to);
             });
}

Tensor CpuBackend::add(const Tensor& a, const Tensor& b) {
  return map(a, 1, [&](const float* from, std::int64_t first, std::int64_t n, float* to) {
    kernels_.add(from, b.data<float>() + first, n, to);
  });
}

Tensor CpuBackend::scale(const Tensor& x, float factor) {
  return map(x, 1, [&](const float* from, std::int64_t /*first*/, std::int64_t n, float* to) {
    kernels_.scale(from, factor, n, to);
  });
}

Tensor CpuBackend::softcap(const Tensor& x, float cap) {
  return map(x, 2 * kExpCost, [&](const float* from, std::int64_t /*first*/, std::int64_t n, float* to) {
    kernels_.softcap(from, cap, n, to);
  });
}

Tensor CpuBackend::gather_rows(const Tensor& x, const Tensor& rows) {
  const std::int64_t width = x.dim(1);
  Tensor out = alloc({rows.dim(0), width}, x.dtype());
  share(rows.dim(0), width, [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
    for (std::int64_t r = begin; r < end; ++r) {
      std::memcpy(out.data<float>() + r * width, x.data<float>() + rows.data<std::int32_t>()[r] * width,
                  static_cast<std::size_t>(width) * sizeof(float));
    }
  });
  return out;
}

Result<CpuFeatures> choose_features(const CpuOptions& options) {
  if (options.isa) return cap_features(detect_cpu_features(), *options.isa);
  return usable_cpu_features();
}

}  // namespace

Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options) {
  if (options.num_threads < 0) {
    return invalid_argument("a CPU backend with " + std::to_string(options.num_threads) + " threads");
  }
  MLXR_ASSIGN_OR_RETURN(const CpuFeatures features, choose_features(options));
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(features, options.num_threads));
}

}  // namespace mlxr
