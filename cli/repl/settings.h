#pragma once
// What `/set parameter NAME VALUE` may change: one row a parameter.

#include <string>
#include <string_view>
#include <vector>

#include "cli/chat.h"
#include "core/runtime/generator.h"

namespace mlxr::cli {

// Sets a parameter from its text; kInvalidArgument names what is wrong and leaves all as it was.
Status set_parameter(GenerateOptions& options, std::string_view name, std::string_view value);

// All parameters with their present values.
std::vector<ParameterText> parameter_texts(const GenerateOptions& options);

}  // namespace mlxr::cli
