#pragma once
// Parameters of a model: by the table parameters.def, from Modelfile text or JSON.

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

// One PARAMETER line: replaces an earlier value, adds to a list. kInvalidArgument: `unknown parameter "x"`, or
// `parameter "x" must be of type integer`.
Status add_parameter(ModelParameters& parameters, std::string_view name, std::string_view value);
// An object of a create request. The same errors.
Result<ModelParameters> parameters_from_json(const nlohmann::json& object);
// A params blob, whose names may be of a program newer than this one: what is not in the table becomes a line of
// `warnings`. kCorrupt names `source`.
Result<ModelParameters> parse_parameters(std::string_view json, const std::string& source,
                                         std::vector<std::string>& warnings);
std::string parameters_to_json(const ModelParameters& parameters);
// `upper` over `lower`: a value of the same name replaces.
ModelParameters merge_parameters(const ModelParameters& lower, const ModelParameters& upper);

// The value as a Modelfile's line shows it.
std::string parameter_text(const ParameterValue& value);

}  // namespace mlxr
