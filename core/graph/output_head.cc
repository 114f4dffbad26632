#include "core/graph/output_head.h"

namespace mlxr {
namespace {

Tensor normed_rows(const ForwardContext& step, const Tensor& h, const RowChoice& choice, const OutputHead& head) {
  return step.ops.rms_norm(choice.rows ? step.ops.gather_rows(h, choice.rows) : h, head.norm, head.eps);
}

}  // namespace

StepOutput apply_output_head(const ForwardContext& step, const Tensor& h, const OutputHead& head) {
  StepOutput out;
  if (step.hidden.count > 0) out.hidden = normed_rows(step, h, step.hidden, head);
  if (step.logits.count > 0) out.logits = step.ops.matmul(normed_rows(step, h, step.logits, head), head.output);
  return out;
}

}  // namespace mlxr
