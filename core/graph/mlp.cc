#include "core/graph/mlp.h"

namespace mlxr {

Tensor gated_mlp(const Ops& ops, const Tensor& x, const GatedMlp& mlp) {
  Tensor inner;
  if (mlp.gate_bias || mlp.up_bias) {
    inner = ops.gated(ops.matmul(x, mlp.gate, mlp.gate_bias), ops.matmul(x, mlp.up, mlp.up_bias), mlp.activation);
  } else {
    inner = ops.gate_up(x, mlp.gate, mlp.up, mlp.activation);
  }
  return ops.matmul(inner, mlp.down, mlp.down_bias);
}

}  // namespace mlxr
