#pragma once
// From what a request, a Modelfile, a model's authors and a dialect say about sampling to what a sampler takes.

#include "core/runtime/loaded_model.h"
#include "core/runtime/sampler/sampling_params.h"
#include "daemon/service/generate_call.h"

namespace mlxr {

SamplingOverrides overrides_of(const SamplingDefaults& authors);

// Absent values are SamplingParams' own. Texts of logit_bias become their tokens. kInvalidArgument for a text that has
// none.
Result<SamplingParams> sampling_params(const SamplingOverrides& merged, const Tokenizer& tokenizer);

}  // namespace mlxr
