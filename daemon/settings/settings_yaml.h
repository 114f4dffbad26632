#pragma once
// server.yaml as a tree, and from the tree into settings.

#include <optional>
#include <string>

#include "core/base/function_ref.h"
#include "daemon/settings/settings.h"
#include "daemon/settings/yaml_tree.h"

namespace mlxr {

// The content of a small regular file; nullopt when it does not exist. Fails when it is not a file or too large.
Result<std::optional<std::string>> read_yaml_file(const std::string& path);

// What set_setting() takes: of a list "a, b", of a mapping "a: 1, b: 2", of a null nothing.
Result<std::string> yaml_value_text(const YamlNode& value, const std::string& path);

// Sets what the document gives, each with `set(info, line)`.
Status apply_yaml(const YamlNode& root, const std::string& path, Settings& settings,
                  FunctionRef<void(const SettingInfo& info, int line)> set);

}  // namespace mlxr
