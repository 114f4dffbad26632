#pragma once
// The KeyStore on the registry's tables.

#include "daemon/access/key_store.h"

namespace mlxr {

class KeyTable;
class UsageLedger;

class RegistryKeyStore : public KeyStore {
 public:
  // Both must outlive it.
  RegistryKeyStore(KeyTable& keys, UsageLedger& usage) : keys_(keys), usage_(usage) {}

  Status insert(const StoredKey& key) override;
  Status update(const StoredKey& key) override;
  Status remove(const std::string& id) override;
  Result<std::vector<StoredKey>> list() override;
  Status add_use(const std::string& key_id, const std::string& model, std::int64_t day, const TokenUse& use) override;
  Result<std::int64_t> tokens_used(const std::string& key_id, std::int64_t first_day, std::int64_t last_day) override;

 private:
  KeyTable& keys_;
  UsageLedger& usage_;
};

}  // namespace mlxr
