#pragma once
// ReferenceBackend: every op in plain loops on one thread, for every weight type that decodes. It defines the truth:
// other backends are tested against it, and derive from it what they have not made fast.
//
// Sums run in double and are rounded once to f32, so that the reference's own error is half an ulp of the result and
// the tolerance of a parity test is that of the tested kernel alone (its accumulation length x epsilon). Intermediate
// tensors are f32 as everywhere.
//
// Memory is the host's: tensors come from a StepPool, weights stay in their file's mapping.

#include <memory>
#include <string>

#include "core/backend/backend.h"
#include "core/backend/step_pool.h"

namespace mlxr {

class ReferenceBackend : public Backend {
 public:
  std::string name() const override { return "reference"; }
  std::string description() const override { return "reference: portable scalar loops, 1 thread"; }

  Result<Weight> prepare_weight(const WeightTensor& tensor) override;
  Result<Tensor> make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) override;
  Result<std::unique_ptr<KvStorage>> make_kv_storage(const KvLayout& layout) override;

  // Ops have run when they return: a step has nothing to wait for and cannot fail late.
  void begin_step() override {}
  Status end_step() override { return {}; }
  Tensor alloc(Shape shape, DType dtype) override { return pool_.alloc(shape, dtype); }
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

 protected:
  StepPool& pool() { return pool_; }

 private:
  StepPool pool_;
};

std::unique_ptr<Backend> make_reference_backend();

}  // namespace mlxr
