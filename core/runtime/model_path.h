#pragma once
// From what a person calls a model to a file: a path is itself; a name is looked for in the model folders.

#include <string>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

// What a command without a model argument runs.
inline constexpr const char* kStarterModel = "sprout";

// $MLXR_MODELS (a list separated by ':'), the user's data folder, and the models that came with the program (beside the
// executable or under its prefix). Only folders that exist.
std::vector<std::string> model_folders();

// A path to a GGUF file or a folder. `model` is an existing path, or the name of a folder or of a .gguf file in one of
// model_folders(). Of several GGUF files in a folder the one that is no draft, projector or adapter is meant.
// kNotFound names the places that were searched.
Result<std::string> resolve_model(const std::string& model);

struct NamedModel {
  std::string name;  // finds it again through resolve_model
  std::string path;  // opens with open_weights
};
// What there is by name in model_folders(), sorted; of equal names the one that resolve_model would take.
std::vector<NamedModel> named_models();

}  // namespace mlxr
