#pragma once
// SizingBackend: runs a step without computing it, to learn how much memory its intermediates take. Weights and KV
// storage are shapes only; tensors come from a StepPool as in any host backend, but nothing writes to them, so that the
// system never backs them. Fused ops allocate as the CPU backend's do.
//
// What read() gives is undefined.

#include "core/backend/reference/reference_backend.h"

namespace mlxr {

class SizingBackend : public ReferenceBackend {
 public:
  std::string name() const override { return "sizing"; }
  std::string description() const override { return "sizing: memory of a step, nothing computed"; }

  // Bytes of all intermediates that steps have needed so far.
  std::size_t workspace_bytes() { return pool().total_bytes(); }
  // The longest row that a product reads, in elements, times the rows of the largest step.
  std::int64_t largest_input() const { return largest_input_; }

  Result<Tensor> make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) override;
  Result<std::unique_ptr<KvStorage>> make_kv_storage(const KvLayout& layout) override;
  void write(const Tensor& tensor, std::span<const std::byte> contents) override;
  Status read(const Tensor& tensor, std::span<std::byte> contents) override;

  Tensor embed(const Tensor& ids, const Weight& table) override;
  Tensor matmul(const Tensor& x, const Weight& w, const Tensor& bias) override;
  Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) override;
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
  Tensor gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) override;

 private:
  std::int64_t largest_input_ = 0;
};

}  // namespace mlxr
