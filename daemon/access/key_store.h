#pragma once
// KeyStore: where keys and what they used are kept, as the access floor sees it. Abstract, so that access is tested
// without a database; on the registry's tables: registry_key_store.h.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

// A key at rest. Times in seconds since the Unix epoch.
struct StoredKey {
  std::string id;      // "key_..."
  std::string name;    // unique
  std::string hash;    // SHA-256 of the key, hexadecimal; unique
  std::string prefix;  // the first characters of the key, to tell it by
  std::vector<std::string> scopes = {};
  std::vector<std::string> models = {};
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  std::int64_t tokens_per_day = 0;
  std::int64_t tokens_per_month = 0;
  double weight = 1.0;
  std::int64_t created = 0;
  std::optional<std::int64_t> expires = {};
  std::optional<std::int64_t> revoked = {};
  std::optional<std::int64_t> last_used = {};
};

// What a request used.
struct TokenUse {
  std::int64_t prompt_tokens = 0;  // the cached ones included
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;

  std::int64_t total() const { return prompt_tokens + generated_tokens; }
};

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  virtual Status insert(const StoredKey& key) = 0;
  virtual Status update(const StoredKey& key) = 0;
  virtual Status remove(const std::string& id) = 0;
  virtual Result<std::vector<StoredKey>> list() = 0;  // by creation

  // The ledger. `key_id` is empty for requests without a key; days since 1970-01-01, UTC, both included.
  virtual Status add_use(const std::string& key_id, const std::string& model, std::int64_t day,
                         const TokenUse& use) = 0;
  virtual Result<std::int64_t> tokens_used(const std::string& key_id, std::int64_t first_day,
                                           std::int64_t last_day) = 0;
};

}  // namespace mlxr
