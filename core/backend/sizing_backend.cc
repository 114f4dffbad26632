#include "core/backend/sizing_backend.h"

#include <algorithm>

namespace mlxr {
namespace {

class NoKvStorage : public KvStorage {
 public:
  using KvStorage::KvStorage;
  std::size_t block_bytes(std::int64_t /*group*/) const override { return 0; }
  Status read_block(std::int64_t /*group*/, std::int64_t /*block*/, std::span<std::byte> /*out*/) override {
    return unsupported("a sizing backend keeps no keys and values");
  }
  Status write_block(std::int64_t /*group*/, std::int64_t /*block*/, std::span<const std::byte> /*bytes*/) override {
    return unsupported("a sizing backend keeps no keys and values");
  }
  void copy_block(std::int64_t /*group*/, std::int64_t /*from*/, std::int64_t /*to*/) override {}
  std::string fingerprint() const override { return "sizing"; }
};

}  // namespace

Result<Tensor> SizingBackend::make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) {
  std::shared_ptr<HostBuffer> buffer = HostBuffer::make(contents.size());
  if (buffer == nullptr) return resource_exhausted("no memory for " + std::to_string(contents.size()) + " bytes");
  return Tensor(shape, dtype, std::move(buffer));
}

Result<std::unique_ptr<KvStorage>> SizingBackend::make_kv_storage(const KvLayout& layout) {
  return std::unique_ptr<KvStorage>(std::make_unique<NoKvStorage>(layout));
}

void SizingBackend::write(const Tensor& /*tensor*/, std::span<const std::byte> /*contents*/) {}

Status SizingBackend::read(const Tensor& /*tensor*/, std::span<std::byte> /*contents*/) {
  return {};
}

Tensor SizingBackend::embed(const Tensor& ids, const Weight& table) {
  return alloc({ids.dim(0), table.shape[1]}, DType::kF32);
}

Tensor SizingBackend::matmul(const Tensor& x, const Weight& w, const Tensor& /*bias*/) {
  largest_input_ = std::max(largest_input_, x.shape().num_elements());
  return alloc({x.dim(0), w.shape[0]}, DType::kF32);
}

Tensor SizingBackend::rms_norm(const Tensor& x, const Tensor& /*weight*/, float /*eps*/) {
  return alloc(x.shape(), DType::kF32);
}

Tensor SizingBackend::layer_norm(const Tensor& x, const Tensor& /*weight*/, const Tensor& /*bias*/, float /*eps*/) {
  return alloc(x.shape(), DType::kF32);
}

Tensor SizingBackend::rope_table(const Tensor& positions, const Tensor& inv_freq, float /*magnitude*/) {
  return alloc({positions.dim(0), 2 * inv_freq.shape().back()}, DType::kF32);
}

Tensor SizingBackend::rope(const Tensor& x, const Tensor& /*table*/, RopeStyle /*style*/) {
  return alloc(x.shape(), DType::kF32);
}

void SizingBackend::kv_write(const Tensor& /*k*/, const Tensor& /*v*/, const KvView& /*view*/, std::int64_t /*layer*/) {
}

Tensor SizingBackend::attention(const Tensor& q, const KvView& view, std::int64_t layer,
                                const AttentionParams& /*params*/) {
  return alloc({q.dim(0), q.dim(1), view.layer_layout(layer).value_dim}, DType::kF32);
}

Tensor SizingBackend::activate(const Tensor& x, Activation /*act*/) {
  return alloc(x.shape(), DType::kF32);
}

Tensor SizingBackend::gated(const Tensor& gate, const Tensor& /*up*/, Activation /*act*/) {
  return alloc(gate.shape(), DType::kF32);
}

Tensor SizingBackend::add(const Tensor& a, const Tensor& /*b*/) {
  return alloc(a.shape(), DType::kF32);
}

Tensor SizingBackend::scale(const Tensor& x, float /*factor*/) {
  return alloc(x.shape(), DType::kF32);
}

Tensor SizingBackend::softcap(const Tensor& x, float /*cap*/) {
  return alloc(x.shape(), DType::kF32);
}

Tensor SizingBackend::gather_rows(const Tensor& x, const Tensor& rows) {
  return alloc({rows.dim(0), x.dim(1)}, DType::kF32);
}

Tensor SizingBackend::gate_up(const Tensor& x, const Weight& gate, const Weight& /*up*/, Activation /*act*/) {
  largest_input_ = std::max(largest_input_, x.shape().num_elements());
  return alloc({x.dim(0), gate.shape[0]}, DType::kF32);
}

}  // namespace mlxr
