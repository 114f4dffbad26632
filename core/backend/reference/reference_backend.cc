#include "core/backend/reference/reference_backend.h"

#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/backend/host_kv_storage.h"
#include "core/backend/host_weight.h"
#include "core/base/check.h"

namespace mlxr {
namespace {

std::byte* raw_bytes(const Tensor& tensor) {
  return static_cast<std::byte*>(tensor.buffer()->host_data()) + tensor.offset_bytes();
}

// Eight running sums hide the latency of the additions, so that a model's tests run on the reference in seconds.
double dot(const float* a, const float* b, std::size_t n) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      lanes[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  }
  for (; i < n; ++i)
    lanes[i % kLanes] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double sum = 0;
  for (const double lane : lanes)
    sum += lane;
  return sum;
}

double activation(double x, Activation act) {
  switch (act) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu:
      return x > 0 ? x : 0;
  }
  return x;
}

// out[i] = fn(x[i]) for every element.
template <class Fn>
Tensor map(Backend& backend, const Tensor& x, Fn fn) {
  Tensor out = backend.alloc(x.shape(), DType::kF32);
  const float* from = x.data<float>();
  float* to = out.data<float>();
  for (std::int64_t i = 0; i < x.shape().num_elements(); ++i)
    to[i] = static_cast<float>(fn(static_cast<double>(from[i]), i));
  return out;
}

}  // namespace

Result<Weight> ReferenceBackend::prepare_weight(const WeightTensor& tensor) {
  const QuantInfo& info = quant_info(tensor.type);
  if (info.decode == nullptr) {
    return unsupported("tensor " + tensor.name + ": no arithmetic for type " + info.name);
  }
  const auto row_bytes = quant_row_bytes(tensor.type, static_cast<std::size_t>(tensor.shape.back()));
  if (!row_bytes || tensor.bytes.size() != *row_bytes * static_cast<std::size_t>(tensor.shape.rows())) {
    return corrupt("tensor " + tensor.name + ": " + std::to_string(tensor.bytes.size()) + " bytes do not fit " +
                   tensor.shape.to_string() + " of " + info.name);
  }
  return Weight{tensor.name, tensor.type, tensor.shape,
                std::make_shared<HostWeight>(tensor.bytes, *row_bytes, tensor.keepalive)};
}

Result<Tensor> ReferenceBackend::make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) {
  std::shared_ptr<HostBuffer> buffer = HostBuffer::make(contents.size());
  if (buffer == nullptr) return resource_exhausted("no memory for " + std::to_string(contents.size()) + " bytes");
  Tensor tensor(shape, dtype, std::move(buffer));
  write(tensor, contents);
  return tensor;
}

Result<std::unique_ptr<KvStorage>> ReferenceBackend::make_kv_storage(const KvLayout& layout) {
  return HostKvStorage::make(layout);
}

void ReferenceBackend::write(const Tensor& tensor, std::span<const std::byte> contents) {
  MLXR_CHECK(tensor.size_bytes() == contents.size(), "write takes as many bytes as the tensor has");
  if (!contents.empty()) std::memcpy(raw_bytes(tensor), contents.data(), contents.size());
}

Status ReferenceBackend::read(const Tensor& tensor, std::span<std::byte> contents) {
  MLXR_CHECK(tensor.size_bytes() == contents.size(), "read takes as many bytes as the tensor has");
  if (!contents.empty()) std::memcpy(contents.data(), raw_bytes(tensor), contents.size());
  return {};
}

Tensor ReferenceBackend::embed(const Tensor& ids, const Weight& table) {
  const HostWeight& host = HostWeight::of(table);
  const std::int64_t tokens = ids.dim(0);
  const auto width = static_cast<std::size_t>(table.shape[1]);
  Tensor out = alloc({tokens, table.shape[1]}, DType::kF32);
  const auto* id = ids.data<std::int32_t>();
  for (std::int64_t t = 0; t < tokens; ++t) {
    decode_row(table.type, host.row(id[t]), {out.data<float>() + static_cast<std::size_t>(t) * width, width});
  }
  return out;
}

Tensor ReferenceBackend::matmul(const Tensor& x, const Weight& w, const Tensor& bias) {
  const HostWeight& host = HostWeight::of(w);
  const auto tokens = static_cast<std::size_t>(x.dim(0));
  const auto in = static_cast<std::size_t>(w.shape[1]);
  const auto num_out = static_cast<std::size_t>(w.shape[0]);
  Tensor out = alloc({x.dim(0), w.shape[0]}, DType::kF32);
  std::vector<float> row(in);
  for (std::size_t o = 0; o < num_out; ++o) {
    decode_row(w.type, host.row(static_cast<std::int64_t>(o)), row);
    const double b = bias ? static_cast<double>(bias.data<float>()[o]) : 0.0;
    for (std::size_t t = 0; t < tokens; ++t) {
      out.data<float>()[t * num_out + o] = static_cast<float>(dot(x.data<float>() + t * in, row.data(), in) + b);
    }
  }
  return out;
}

Tensor ReferenceBackend::rms_norm(const Tensor& x, const Tensor& weight, float eps) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const auto n = static_cast<std::size_t>(x.shape().back());
  const auto rows = static_cast<std::size_t>(x.shape().rows());
  const float* w = weight.data<float>();
  for (std::size_t r = 0; r < rows; ++r) {
    const float* from = x.data<float>() + r * n;
    float* to = out.data<float>() + r * n;
    const double inverse = 1 / std::sqrt(dot(from, from, n) / static_cast<double>(n) + static_cast<double>(eps));
    for (std::size_t i = 0; i < n; ++i)
      to[i] = static_cast<float>(static_cast<double>(from[i]) * inverse * static_cast<double>(w[i]));
  }
  return out;
}

Tensor ReferenceBackend::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const auto n = static_cast<std::size_t>(x.shape().back());
  const auto rows = static_cast<std::size_t>(x.shape().rows());
  const float* w = weight.data<float>();
  const float* b = bias ? bias.data<float>() : nullptr;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* from = x.data<float>() + r * n;
    float* to = out.data<float>() + r * n;
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i)
      mean += static_cast<double>(from[i]) / static_cast<double>(n);
    double variance = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double d = static_cast<double>(from[i]) - mean;
      variance += d * d / static_cast<double>(n);
    }
    const double inverse = 1 / std::sqrt(variance + static_cast<double>(eps));
    for (std::size_t i = 0; i < n; ++i) {
      const double shift = b == nullptr ? 0.0 : static_cast<double>(b[i]);
      to[i] = static_cast<float>((static_cast<double>(from[i]) - mean) * inverse * static_cast<double>(w[i]) + shift);
    }
  }
  return out;
}

Tensor ReferenceBackend::rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) {
  const auto tokens = static_cast<std::size_t>(positions.dim(0));
  const auto half = static_cast<std::size_t>(inv_freq.shape().back());
  const bool shared = inv_freq.shape().rank() == 1;
  Tensor out = alloc({positions.dim(0), 2 * inv_freq.shape().back()}, DType::kF32);
  for (std::size_t t = 0; t < tokens; ++t) {
    const float* freq = inv_freq.data<float>() + (shared ? 0 : t * half);
    float* to = out.data<float>() + t * 2 * half;
    for (std::size_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(positions.data<std::int32_t>()[t]) * freq[i];
      to[i] = static_cast<float>(std::cos(static_cast<double>(angle)) * static_cast<double>(magnitude));
      to[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)) * static_cast<double>(magnitude));
    }
  }
  return out;
}

Tensor ReferenceBackend::rope(const Tensor& x, const Tensor& table, RopeStyle style) {
  Tensor out = alloc(x.shape(), DType::kF32);
  const auto heads = static_cast<std::size_t>(x.dim(1));
  const auto head_dim = static_cast<std::size_t>(x.dim(2));
  const auto half = static_cast<std::size_t>(table.dim(1)) / 2;
  for (std::size_t row = 0; row < static_cast<std::size_t>(x.dim(0)) * heads; ++row) {
    const float* from = x.data<float>() + row * head_dim;
    float* to = out.data<float>() + row * head_dim;
    const float* angles = table.data<float>() + row / heads * 2 * half;
    for (std::size_t i = 0; i < half; ++i) {
      const std::size_t first = style == RopeStyle::kNeox ? i : 2 * i;
      const std::size_t second = style == RopeStyle::kNeox ? i + half : 2 * i + 1;
      const double a = static_cast<double>(from[first]);
      const double b = static_cast<double>(from[second]);
      const double cosine = static_cast<double>(angles[i]);
      const double sine = static_cast<double>(angles[half + i]);
      to[first] = static_cast<float>(a * cosine - b * sine);
      to[second] = static_cast<float>(a * sine + b * cosine);
    }
    for (std::size_t i = 2 * half; i < head_dim; ++i)
      to[i] = from[i];
  }
  return out;
}

Tensor ReferenceBackend::activate(const Tensor& x, Activation act) {
  return map(*this, x, [act](double value, std::int64_t) { return activation(value, act); });
}

Tensor ReferenceBackend::gated(const Tensor& gate, const Tensor& up, Activation act) {
  const float* u = up.data<float>();
  return map(*this, gate,
             [=](double value, std::int64_t i) { return activation(value, act) * static_cast<double>(u[i]); });
}

Tensor ReferenceBackend::add(const Tensor& a, const Tensor& b) {
  const float* other = b.data<float>();
  return map(*this, a, [=](double value, std::int64_t i) { return value + static_cast<double>(other[i]); });
}

Tensor ReferenceBackend::scale(const Tensor& x, float factor) {
  return map(*this, x, [=](double value, std::int64_t) { return value * static_cast<double>(factor); });
}

Tensor ReferenceBackend::softcap(const Tensor& x, float cap) {
  const auto limit = static_cast<double>(cap);
  return map(*this, x, [=](double value, std::int64_t) { return limit * std::tanh(value / limit); });
}

Tensor ReferenceBackend::gather_rows(const Tensor& x, const Tensor& rows) {
  const auto width = static_cast<std::size_t>(x.dim(1));
  Tensor out = alloc({rows.dim(0), x.dim(1)}, x.dtype());
  for (std::int64_t r = 0; r < rows.dim(0); ++r) {
    const float* from = x.data<float>() + static_cast<std::size_t>(rows.data<std::int32_t>()[r]) * width;
    std::memcpy(out.data<float>() + static_cast<std::size_t>(r) * width, from, width * sizeof(float));
  }
  return out;
}

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace mlxr
