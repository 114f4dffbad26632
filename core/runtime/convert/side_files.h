#pragma once
// What a model file carries beside its tensors: config, tokenizer, chat template, generation defaults; from either kind
// of file to the other. What has no counterpart is named in `warnings`.

#include <string>
#include <vector>

#include "core/io/metadata.h"
#include "core/io/weight_source.h"
#include "core/runtime/convert/model_plan.h"

namespace mlxr {

// All metadata of a GGUF file made of `source`.
Status gguf_metadata(const WeightSource& source, const std::string& source_path, const ModelPlan& plan,
                     Metadata& metadata, std::vector<std::string>& warnings);

// config.json, generation_config.json, tokenizer.json, tokenizer_config.json in `folder`.
Status write_side_files(const WeightSource& source, const std::string& source_path, const ModelPlan& plan,
                        const std::string& folder, std::vector<std::string>& warnings);

}  // namespace mlxr
