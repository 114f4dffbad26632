#pragma once
// Opens whatever holds weights, deciding by content and not by name.

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/io/weight_source.h"

namespace mlxr {

// A GgufFile, SafetensorsFile or HfFolder (dynamic_cast tells which). For anything else the error says what the file is
// as far as its first bytes tell: a pickle, a Git LFS pointer, a web page, an empty file.
Result<std::unique_ptr<WeightSource>> open_weights(const std::string& path);

}  // namespace mlxr
