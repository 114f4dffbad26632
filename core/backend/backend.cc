#include "core/backend/backend.h"

namespace mlxr {

SumAndNorm Backend::add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps) {
  Tensor sum = add(a, b);
  Tensor norm = rms_norm(sum, weight, eps);
  return {std::move(sum), std::move(norm)};
}

Tensor Backend::gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) {
  return gated(matmul(x, gate, {}), matmul(x, up, {}), act);
}

void Backend::matmul_shared(const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                            std::span<Tensor> out) {
  for (std::size_t i = 0; i < ws.size(); ++i)
    out[i] = matmul(x, *ws[i], biases[i]);
}

}  // namespace mlxr
