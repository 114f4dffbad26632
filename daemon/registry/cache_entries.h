#pragma once
// What was found out at some cost and can be found out again: by kind and key, with the time of its last use. Any
// thread.

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/registry/database.h"

namespace mlxr {

class CacheEntries {
 public:
  explicit CacheEntries(Database& database) : database_(database) {}

  // `now` in seconds since the Unix epoch. A use is written down at most once a day.
  Result<std::optional<std::string>> find(const std::string& kind, const std::string& key, std::int64_t now);
  Status put(const std::string& kind, const std::string& key, const std::string& value, std::int64_t now);
  // The least recently used beyond the newest `keep` of a kind; how many.
  Result<std::int64_t> trim(const std::string& kind, std::int64_t keep);

 private:
  Database& database_;
};

}  // namespace mlxr
