#include "core/io/shard_name.h"

#include <algorithm>

#include <fmt/core.h>

namespace mlxr {
namespace {

constexpr std::size_t kDigits = 5;
constexpr std::string_view kOf = "-of-";

std::optional<std::uint64_t> parse_digits(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

}  // namespace

std::string shard_name(const ShardName& name, std::string_view extension) {
  return fmt::format("{}-{:05}-of-{:05}{}", name.prefix, name.number, name.count, extension);
}

std::optional<ShardName> parse_shard_name(std::string_view path, std::string_view extension) {
  if (!path.ends_with(extension)) return std::nullopt;
  path.remove_suffix(extension.size());
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits;
  if (path.size() < kTail) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kTail);
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf) return std::nullopt;
  const auto number = parse_digits(tail.substr(1, kDigits));
  const auto count = parse_digits(tail.substr(kTail - kDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return ShardName{std::string(path.substr(0, path.size() - kTail)), *number, *count};
}

}  // namespace mlxr
