#pragma once
// One row of models.def as a value, and the two calls that start from a file.

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/models/model.h"
#include "core/models/weight_loader.h"
#include "core/models/weight_table.h"

namespace mlxr {

struct Architecture {
  const char* name;                // GGUF's general.architecture
  const char* hugging_face_names;  // entries of config.json's "architectures", separated by ';'
  std::span<const TensorRow> (*tensor_rows)();
  // `config` has been read and validated; takes every tensor it needs from the loader.
  Result<std::unique_ptr<Model>> (*load)(ModelConfig config, WeightLoader& loader);
};

std::span<const Architecture> architectures();
// nullptr when nothing here runs it.
const Architecture* find_architecture(std::string_view gguf_name);
const Architecture* find_hugging_face_architecture(std::string_view class_name);
// "llama, ..." for error messages.
std::string architecture_names();

// The config of a GGUF file or a Hugging Face folder; kUnsupported names an architecture or a setting this build
// does not run.
Result<ModelConfig> read_model_config(const WeightSource& source);

struct LoadedWeights {
  std::unique_ptr<Model> model;
  std::vector<std::string> warnings;  // tensors in the file that the model does not use
};
// The source must outlive the model where the backend uses its mapping (tensors keep their own mapping alive).
Result<LoadedWeights> load_model(const WeightSource& source, Backend& backend);

}  // namespace mlxr
