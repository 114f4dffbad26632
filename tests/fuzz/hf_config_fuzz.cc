// The JSON files of a model folder: configs and their fields, the index of shards, chat templates.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/io/hf_folder.h"
#include "core/io/json_file.h"

namespace {

void check(const mlxr::Status& status) {
  if (status.message().find('\n') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = "fuzz.json";
  const auto document = mlxr::parse_json({reinterpret_cast<const char*>(data), size}, path);
  check(document.status());
  if (!document.ok()) return 0;
  if (document->is_object()) {
    for (const auto& [key, value] : document->items()) {
      check(mlxr::json_uint(*document, key, path).status());
      check(mlxr::json_float(*document, key, path).status());
      check(mlxr::json_bool_or(*document, key, true, path).status());
      check(mlxr::json_string(*document, key, path).status());
      check(mlxr::json_ints(*document, key, path).status());
      check(mlxr::json_floats(*document, key, path).status());
      check(mlxr::json_strings(*document, key, path).status());
    }
  }
  check(mlxr::parse_chat_templates(*document, path).status());
  if (const auto* field = mlxr::json_find(*document, "chat_template")) {
    check(mlxr::parse_chat_templates(*field, path).status());
  }
  const auto index = mlxr::parse_shard_index(*document, path);
  check(index.status());
  if (!index.ok()) return 0;
  for (const auto& shard : index->shards) {
    if (shard.file.find('/') != std::string::npos || shard.file.front() == '.') std::abort();
  }
  return 0;
}
