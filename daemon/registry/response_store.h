#pragma once
// Answers of /v1/responses that may be asked for again or gone on from. A response belongs to the caller's key that
// made it; for any other it does not exist. Any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/registry/database.h"

namespace mlxr {

struct StoredResponse {
  std::string id;      // "resp_..."
  std::string key_id;  // empty: without a key
  std::optional<std::string> previous_id = {};
  std::string model;
  std::int64_t created = 0;  // seconds since the Unix epoch
  std::string status;        // "completed", "incomplete", "failed", "cancelled"
  std::string input_json;    // the items of this turn alone
  std::string output_json;   // the whole response object
};

class ResponseStore {
 public:
  explicit ResponseStore(Database& database) : database_(database) {}

  // kInvalidArgument when the id is taken.
  Status insert(const StoredResponse& response);
  Result<std::optional<StoredResponse>> find(const std::string& id, const std::string& key_id);
  // The response and all before it, oldest first. kNotFound names the id that is missing; kResourceExhausted when there
  // are more than `max_turns`.
  Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& key_id, int max_turns = 1000);
  Status remove(const std::string& id, const std::string& key_id);  // kNotFound; later ones stay, with a broken chain
  // Those created before; how many.
  Result<std::int64_t> remove_before(std::int64_t created);

 private:
  Database& database_;
};

}  // namespace mlxr
