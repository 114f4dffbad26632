#pragma once
// What each key used of each model, a row a day. Any thread.

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/registry/database.h"

namespace mlxr {

struct Usage {
  std::int64_t requests = 0;
  std::int64_t prompt_tokens = 0;  // the cached ones included
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;

  std::int64_t tokens() const { return prompt_tokens + generated_tokens; }
};

struct UsageRow {
  std::string key_id;  // empty: without a key
  std::string model;
  std::int64_t day = 0;  // since 1970-01-01, UTC
  Usage usage;
};

class UsageLedger {
 public:
  explicit UsageLedger(Database& database) : database_(database) {}

  Status add(const std::string& key_id, const std::string& model, std::int64_t day, const Usage& usage);
  // Of one key over all models, both days included.
  Result<Usage> total(const std::string& key_id, std::int64_t first_day, std::int64_t last_day);
  // All keys, by day, key and model.
  Result<std::vector<UsageRow>> rows(std::int64_t first_day, std::int64_t last_day);

 private:
  Database& database_;
};

}  // namespace mlxr
