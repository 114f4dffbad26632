#pragma once
// API keys at rest: a hash each, never the key. What the columns mean is the access floor's affair. Any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/registry/database.h"

namespace mlxr {

struct KeyRow {
  std::string id;      // "key_..." : shown, logged, counted by
  std::string name;    // unique among the keys
  std::string hash;    // of the secret, hexadecimal; unique
  std::string prefix;  // the first characters of the key, to tell it by
  std::vector<std::string> scopes = {};
  std::vector<std::string> models = {};  // globs; empty: all
  std::int64_t requests_per_minute = 0;  // 0: no limit, like the others
  std::int64_t tokens_per_minute = 0;
  std::int64_t tokens_per_day = 0;
  std::int64_t tokens_per_month = 0;
  double weight = 1.0;       // of its share in the scheduler
  std::int64_t created = 0;  // seconds since the Unix epoch, like the others
  std::optional<std::int64_t> expires = {};
  std::optional<std::int64_t> revoked = {};
  std::optional<std::int64_t> last_used = {};
};

class KeyTable {
 public:
  explicit KeyTable(Database& database) : database_(database) {}

  // kInvalidArgument when the id, the name or the hash is taken.
  Status insert(const KeyRow& key);
  // All columns but id, hash and created. kNotFound.
  Status update(const KeyRow& key);
  Status touch(const std::string& id, std::int64_t now);  // last_used
  Status remove(const std::string& id);                   // kNotFound; its usage stays
  Result<std::optional<KeyRow>> find_by_hash(const std::string& hash);
  Result<std::optional<KeyRow>> find(const std::string& id_or_name);
  Result<std::vector<KeyRow>> list();  // by creation

 private:
  Database& database_;
};

}  // namespace mlxr
