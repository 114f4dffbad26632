// server.yaml and the settings of models: any bytes are read or refused, and what was read can be written.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/settings/model_settings.h"
#include "daemon/settings/settings_file.h"
#include "daemon/settings/yaml_tree.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto one_line = [](const mlxr::Status& status) {
    if (status.message().find('\n') != std::string::npos) std::abort();
  };
  const auto settings = mlxr::parse_settings(text, "f");
  one_line(settings.status());
  if (settings.ok()) {
    for (const mlxr::SettingInfo& info : mlxr::setting_infos()) {
      mlxr::Settings copy;
      if (!mlxr::set_setting(copy, info.name, mlxr::setting_text(*settings, info.name)).ok()) std::abort();
    }
  }
  one_line(mlxr::parse_model_settings(text, "f").status());
  // Whatever text there is comes back from the scalar that is made of it.
  const std::size_t valid = text.find_first_of(std::string("\0\n\r\t\v\f\x1b", 7));
  const std::string scalar = text.substr(0, valid).substr(0, 200);
  const auto tree = mlxr::parse_yaml("k: " + mlxr::yaml_scalar(scalar), "f");
  if (tree.ok() && tree->find("k")->text != scalar) std::abort();
  return 0;
}
