#pragma once
// The end of a step: from the hidden states after the last layer to what the step is wanted for.

#include "core/graph/forward_context.h"

namespace mlxr {

// Empty handles where no rows were chosen.
struct StepOutput {
  Tensor logits;  // f32 [step.logits.count, vocab]
  Tensor hidden;  // f32 [step.hidden.count, hidden]: after the final norm, what embeddings are made of
};

struct OutputHead {
  const Tensor& norm;    // [hidden]
  const Weight& output;  // [vocab, hidden]
  float eps = 0.0F;
};

// h: [tokens, hidden], before the final norm
StepOutput apply_output_head(const ForwardContext& step, const Tensor& h, const OutputHead& head);

}  // namespace mlxr
