#pragma once
// What an output file will hold: every tensor of a source under the names and in the row order of the target, with its
// type. Nothing of the source is left out without being named in `warnings`.

#include <string>
#include <vector>

#include "core/models/architecture.h"
#include "core/runtime/convert/quant_mix.h"
#include "core/runtime/convert/tensor_writer.h"

namespace mlxr {

struct ModelPlanOptions {
  Naming target = Naming::kGguf;
  std::optional<QuantMix> mix;  // absent: every tensor keeps its type
  bool pure = false;
  const Importance* importance = nullptr;
};

struct ModelPlan {
  ModelConfig config;  // of the source
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> warnings;
};

// kUnsupported for a tensor that the architecture's table does not name. Keeps what the planned tensors need alive.
Result<ModelPlan> plan_model(const WeightSource& source, const ModelPlanOptions& options);

}  // namespace mlxr
