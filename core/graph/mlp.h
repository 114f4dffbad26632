#pragma once
// The gated feed-forward block (SwiGLU and kin, Shazeer 2020, arXiv:2002.05202).

#include "core/backend/ops.h"

namespace mlxr {

struct GatedMlp {
  Weight gate;       // [ffn, hidden]
  Weight up;         // [ffn, hidden]
  Weight down;       // [hidden, ffn]
  Tensor gate_bias;  // [ffn] or empty, as the two below
  Tensor up_bias;
  Tensor down_bias;
  Activation activation = Activation::kSilu;
};

// x [tokens, hidden] -> down(act(gate x) * up x) [tokens, hidden]
Tensor gated_mlp(const Ops& ops, const Tensor& x, const GatedMlp& mlp);

}  // namespace mlxr
