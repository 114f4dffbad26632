// The first byte chooses what the rest is: a manifest, its config, parameters, messages or a model's name.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/registry/folder_view.h"
#include "daemon/registry/manifest.h"
#include "daemon/registry/manifest_record.h"
#include "daemon/registry/model_name.h"
#include "daemon/registry/model_parameters.h"

namespace {

void read_manifest(std::string_view text) {
  const auto manifest = mlxr::parse_manifest(text, "manifest");
  if (!manifest.ok()) return;
  if (manifest->bytes != text || manifest->total_bytes() > static_cast<std::uint64_t>(INT64_MAX)) __builtin_trap();
  const auto again = mlxr::parse_manifest(mlxr::make_manifest(manifest->config, manifest->layers).bytes, "again");
  if (!again.ok() || again->layers != manifest->layers) __builtin_trap();
}

void read_name(std::string_view text) {
  const auto name = mlxr::parse_model_name(text);
  if (!name.ok()) return;
  if (!mlxr::is_safe_file_name(name->manifest_path())) __builtin_trap();
  const auto again = mlxr::parse_model_name(name->display());
  if (!again.ok() || again->key() != name->key()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<std::string> warnings;
  switch (data[0] % 5) {
    case 0:
      read_manifest(text);
      break;
    case 1:
      mlxr::parse_manifest_config(text, "config").ok();
      break;
    case 2:
      if (const auto parameters = mlxr::parse_parameters(text, "params", warnings); parameters.ok()) {
        if (!mlxr::parse_parameters(mlxr::parameters_to_json(*parameters), "again", warnings).ok()) __builtin_trap();
      }
      break;
    case 3:
      mlxr::parse_messages(text, "messages").ok();
      break;
    default:
      read_name(text);
  }
  return 0;
}
