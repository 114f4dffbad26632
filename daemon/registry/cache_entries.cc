#include "daemon/registry/cache_entries.h"

namespace mlxr {

constexpr std::int64_t kSecondsPerDay = 86400;

Result<std::optional<std::string>> CacheEntries::find(const std::string& kind, const std::string& key,
                                                      std::int64_t now) {
  std::string value;
  std::int64_t used = 0;
  {
    Query query(database_, "SELECT value, used FROM cache_entries WHERE kind = ? AND key = ?");
    MLXR_ASSIGN_OR_RETURN(const bool row, query.bind(kind).bind(key).next());
    if (!row) return std::optional<std::string>();
    value = query.text(0);
    used = query.integer(1);
  }
  if (now - used >= kSecondsPerDay) MLXR_RETURN_IF_ERROR(put(kind, key, value, now));
  return std::optional<std::string>(std::move(value));
}

Status CacheEntries::put(const std::string& kind, const std::string& key, const std::string& value, std::int64_t now) {
  Query query(database_, "INSERT OR REPLACE INTO cache_entries (kind, key, value, used) VALUES (?, ?, ?, ?)");
  return query.bind(kind).bind(key).bind(value).bind(now).run().status();
}

Result<std::int64_t> CacheEntries::trim(const std::string& kind, std::int64_t keep) {
  Query query(database_,
              "DELETE FROM cache_entries WHERE kind = ? AND key NOT IN "
              "(SELECT key FROM cache_entries WHERE kind = ? ORDER BY used DESC, key LIMIT ?)");
  return query.bind(kind).bind(kind).bind(keep).run();
}

}  // namespace mlxr
