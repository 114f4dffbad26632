#pragma once
// Ops: what models call. A thin layer over a Backend that checks shapes and dtypes once, so that no backend has to; a
// mismatch is a programming error (weights were checked when they were loaded) and aborts with the op and the shapes:
// `[matmul] x [3, 4096] does not fit weight [11008, 5120]`. See backend.h for what each op computes.

#include <array>
#include <cstdint>

#include "core/backend/backend.h"

namespace mlxr {

class Ops {
 public:
  explicit Ops(Backend& backend) : backend_(backend) {}
  Backend& backend() const { return backend_; }

  Tensor embed(const Tensor& ids, const Weight& table) const;
  Tensor matmul(const Tensor& x, const Weight& w, const Tensor& bias = {}) const;
  Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) const;
  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) const;
  Tensor rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) const;
  Tensor rope(const Tensor& x, const Tensor& table, RopeStyle style) const;
  void kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) const;
  Tensor attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) const;
  Tensor activate(const Tensor& x, Activation act) const;
  Tensor gated(const Tensor& gate, const Tensor& up, Activation act) const;
  Tensor add(const Tensor& a, const Tensor& b) const;
  Tensor scale(const Tensor& x, float factor) const;
  Tensor softcap(const Tensor& x, float cap) const;
  Tensor gather_rows(const Tensor& x, const Tensor& rows) const;

  SumAndNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps) const;
  Tensor gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) const;
  // The three projections of attention from one x; an empty bias is none.
  std::array<Tensor, 3> matmul3(const Tensor& x, std::array<const Weight*, 3> ws,
                                const std::array<Tensor, 3>& biases) const;

 private:
  Backend& backend_;
};

}  // namespace mlxr
