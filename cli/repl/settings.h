#pragma once
// What `/set parameter NAME VALUE` may change: one row a parameter.

#include <string>
#include <string_view>
#include <vector>

#include "cli/conversation.h"

namespace mlxr::cli {

// Sets a parameter from its text; kInvalidArgument names what is wrong and leaves all as it was.
Status set_parameter(GenerateOptions& options, std::string_view name, std::string_view value);

struct ParameterText {
  std::string name;
  std::string value;
  std::string help;
};
// All parameters with their present values.
std::vector<ParameterText> parameter_texts(const GenerateOptions& options);

}  // namespace mlxr::cli
