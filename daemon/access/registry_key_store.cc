#include "daemon/access/registry_key_store.h"

#include "daemon/registry/key_table.h"
#include "daemon/registry/usage_ledger.h"

namespace mlxr {
namespace {

KeyRow to_row(const StoredKey& key) {
  KeyRow row;
  row.id = key.id;
  row.name = key.name;
  row.hash = key.hash;
  row.prefix = key.prefix;
  row.scopes = key.scopes;
  row.models = key.models;
  row.requests_per_minute = key.requests_per_minute;
  row.tokens_per_minute = key.tokens_per_minute;
  row.tokens_per_day = key.tokens_per_day;
  row.tokens_per_month = key.tokens_per_month;
  row.weight = key.weight;
  row.created = key.created;
  row.expires = key.expires;
  row.revoked = key.revoked;
  row.last_used = key.last_used;
  return row;
}

StoredKey from_row(const KeyRow& row) {
  StoredKey key;
  key.id = row.id;
  key.name = row.name;
  key.hash = row.hash;
  key.prefix = row.prefix;
  key.scopes = row.scopes;
  key.models = row.models;
  key.requests_per_minute = row.requests_per_minute;
  key.tokens_per_minute = row.tokens_per_minute;
  key.tokens_per_day = row.tokens_per_day;
  key.tokens_per_month = row.tokens_per_month;
  key.weight = row.weight;
  key.created = row.created;
  key.expires = row.expires;
  key.revoked = row.revoked;
  key.last_used = row.last_used;
  return key;
}

}  // namespace

Status RegistryKeyStore::insert(const StoredKey& key) {
  return keys_.insert(to_row(key));
}

Status RegistryKeyStore::update(const StoredKey& key) {
  return keys_.update(to_row(key));
}

Status RegistryKeyStore::remove(const std::string& id) {
  return keys_.remove(id);
}

Result<std::vector<StoredKey>> RegistryKeyStore::list() {
  MLXR_ASSIGN_OR_RETURN(const std::vector<KeyRow> rows, keys_.list());
  std::vector<StoredKey> keys;
  keys.reserve(rows.size());
  for (const KeyRow& row : rows)
    keys.push_back(from_row(row));
  return keys;
}

Status RegistryKeyStore::add_use(const std::string& key_id, const std::string& model, std::int64_t day,
                                 const TokenUse& use) {
  Usage usage;
  usage.requests = 1;
  usage.prompt_tokens = use.prompt_tokens;
  usage.cached_tokens = use.cached_tokens;
  usage.generated_tokens = use.generated_tokens;
  return usage_.add(key_id, model, day, usage);
}

Result<std::int64_t> RegistryKeyStore::tokens_used(const std::string& key_id, std::int64_t first_day,
                                                   std::int64_t last_day) {
  MLXR_ASSIGN_OR_RETURN(const Usage usage, usage_.total(key_id, first_day, last_day));
  return usage.tokens();
}

}  // namespace mlxr
