#pragma once
// A name for a model's weights that is the same wherever the files lie, so that what was computed with them can be
// kept.

#include <string>

#include "core/io/weight_source.h"

namespace mlxr {

// SHA-256 over each tensor's name, type, shape and sixteen slices of its bytes, spread evenly: milliseconds for any
// model, and two models that were trained apart differ in every slice. Hexadecimal.
std::string model_fingerprint(const WeightSource& source);

}  // namespace mlxr
