#pragma once
// Names of the files of a split model: PREFIX-00001-of-00005.gguf, numbered from 1. A value.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlxr {

struct ShardName {
  std::string prefix;  // with the folder
  std::uint64_t number = 1;
  std::uint64_t count = 1;
};

inline constexpr std::uint64_t kMaxShards = 99999;  // five digits

// `extension` includes the dot.
std::string shard_name(const ShardName& name, std::string_view extension);
// nullopt when `path` is not such a name, or its number is not in [1, count].
std::optional<ShardName> parse_shard_name(std::string_view path, std::string_view extension);

}  // namespace mlxr
