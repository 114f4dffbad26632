#include "daemon/registry/response_store.h"

#include <algorithm>

#include <fmt/core.h>

namespace mlxr {
namespace {

Status no_response(const std::string& id) {
  return not_found(fmt::format("no response \"{}\"", id));
}

}  // namespace

Status ResponseStore::insert(const StoredResponse& response) {
  Query query(database_,
              "INSERT INTO responses (id, key_id, previous_id, model, created, status, input_json, output_json) "
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(response.id).bind(response.key_id).bind_optional(response.previous_id).bind(response.model);
  query.bind(response.created).bind(response.status).bind(response.input_json).bind(response.output_json);
  return query.run().status();
}

Result<std::optional<StoredResponse>> ResponseStore::find(const std::string& id, const std::string& key_id) {
  Query query(database_,
              "SELECT id, key_id, previous_id, model, created, status, input_json, output_json FROM responses "
              "WHERE id = ? AND key_id = ?");
  MLXR_ASSIGN_OR_RETURN(const bool row, query.bind(id).bind(key_id).next());
  if (!row) return std::optional<StoredResponse>();
  StoredResponse response;
  response.id = query.text(0);
  response.key_id = query.text(1);
  if (!query.is_null(2)) response.previous_id = query.text(2);
  response.model = query.text(3);
  response.created = query.integer(4);
  response.status = query.text(5);
  response.input_json = query.text(6);
  response.output_json = query.text(7);
  return std::optional<StoredResponse>(std::move(response));
}

Result<std::vector<StoredResponse>> ResponseStore::chain(const std::string& id, const std::string& key_id,
                                                         int max_turns) {
  std::vector<StoredResponse> turns;
  std::optional<std::string> next = id;
  while (next) {
    // Also the end of a chain that leads back to itself.
    if (turns.size() >= static_cast<std::size_t>(max_turns)) {
      return resource_exhausted(fmt::format("response \"{}\" stands on more than {} others", id, max_turns));
    }
    MLXR_ASSIGN_OR_RETURN(auto response, find(*next, key_id));
    if (!response) return no_response(*next);
    next = response->previous_id;
    turns.push_back(std::move(*response));
  }
  std::reverse(turns.begin(), turns.end());
  return turns;
}

Status ResponseStore::remove(const std::string& id, const std::string& key_id) {
  Query query(database_, "DELETE FROM responses WHERE id = ? AND key_id = ?");
  MLXR_ASSIGN_OR_RETURN(const std::int64_t changed, query.bind(id).bind(key_id).run());
  return changed == 0 ? no_response(id) : Status();
}

Result<std::int64_t> ResponseStore::remove_before(std::int64_t created) {
  Query query(database_, "DELETE FROM responses WHERE created < ?");
  return query.bind(created).run();
}

}  // namespace mlxr
