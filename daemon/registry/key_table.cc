#include "daemon/registry/key_table.h"

#include <fmt/core.h>

#include "daemon/registry/json_text_list.h"

namespace mlxr {
namespace {

constexpr const char* kColumns =
    "id, name, hash, prefix, scopes, models, requests_per_minute, tokens_per_minute, tokens_per_day, tokens_per_month, "
    "weight, created, expires, revoked, last_used";

std::optional<std::int64_t> optional_integer(const Query& query, int column) {
  if (query.is_null(column)) return std::nullopt;
  return query.integer(column);
}

KeyRow row_of(const Query& query) {
  KeyRow key;
  key.id = query.text(0);
  key.name = query.text(1);
  key.hash = query.text(2);
  key.prefix = query.text(3);
  key.scopes = text_list_from_json(query.text(4));
  key.models = text_list_from_json(query.text(5));
  key.requests_per_minute = query.integer(6);
  key.tokens_per_minute = query.integer(7);
  key.tokens_per_day = query.integer(8);
  key.tokens_per_month = query.integer(9);
  key.weight = query.real(10);
  key.created = query.integer(11);
  key.expires = optional_integer(query, 12);
  key.revoked = optional_integer(query, 13);
  key.last_used = optional_integer(query, 14);
  return key;
}

Status no_key(const std::string& id) {
  return not_found(fmt::format("no API key \"{}\"", id));
}

// The columns from `scopes` to `weight`.
void bind_settings(Query& query, const KeyRow& key) {
  query.bind(text_list_to_json(key.scopes)).bind(text_list_to_json(key.models));
  query.bind(key.requests_per_minute).bind(key.tokens_per_minute);
  query.bind(key.tokens_per_day).bind(key.tokens_per_month).bind(key.weight);
}

Result<std::optional<KeyRow>> one(Query& query) {
  MLXR_ASSIGN_OR_RETURN(const bool found, query.next());
  if (!found) return std::optional<KeyRow>();
  return std::optional<KeyRow>(row_of(query));
}

}  // namespace

Status KeyTable::insert(const KeyRow& key) {
  Query query(database_, fmt::format("INSERT INTO keys ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", kColumns));
  query.bind(key.id).bind(key.name).bind(key.hash).bind(key.prefix);
  bind_settings(query, key);
  query.bind(key.created).bind_optional(key.expires).bind_optional(key.revoked).bind_optional(key.last_used);
  const auto changed = query.run();
  if (changed.ok()) return {};
  if (changed.status().code() == StatusCode::kInvalidArgument) {
    return invalid_argument(fmt::format("there is an API key \"{}\" already", key.name));
  }
  return changed.status();
}

Status KeyTable::update(const KeyRow& key) {
  Query query(database_,
              "UPDATE keys SET name = ?, prefix = ?, scopes = ?, models = ?, requests_per_minute = ?, "
              "tokens_per_minute = ?, tokens_per_day = ?, tokens_per_month = ?, weight = ?, expires = ?, revoked = ?, "
              "last_used = ? WHERE id = ?");
  query.bind(key.name).bind(key.prefix);
  bind_settings(query, key);
  query.bind_optional(key.expires).bind_optional(key.revoked).bind_optional(key.last_used).bind(key.id);
  MLXR_ASSIGN_OR_RETURN(const std::int64_t changed, query.run());
  return changed == 0 ? no_key(key.id) : Status();
}

Status KeyTable::touch(const std::string& id, std::int64_t now) {
  Query query(database_, "UPDATE keys SET last_used = ? WHERE id = ?");
  MLXR_ASSIGN_OR_RETURN(const std::int64_t changed, query.bind(now).bind(id).run());
  return changed == 0 ? no_key(id) : Status();
}

Status KeyTable::remove(const std::string& id) {
  Query query(database_, "DELETE FROM keys WHERE id = ?");
  MLXR_ASSIGN_OR_RETURN(const std::int64_t changed, query.bind(id).run());
  return changed == 0 ? no_key(id) : Status();
}

Result<std::optional<KeyRow>> KeyTable::find_by_hash(const std::string& hash) {
  Query query(database_, fmt::format("SELECT {} FROM keys WHERE hash = ?", kColumns));
  return one(query.bind(hash));
}

Result<std::optional<KeyRow>> KeyTable::find(const std::string& id_or_name) {
  Query query(database_, fmt::format("SELECT {} FROM keys WHERE id = ? OR name = ? ORDER BY id = ? DESC", kColumns));
  return one(query.bind(id_or_name).bind(id_or_name).bind(id_or_name));
}

Result<std::vector<KeyRow>> KeyTable::list() {
  Query query(database_, fmt::format("SELECT {} FROM keys ORDER BY created, id", kColumns));
  std::vector<KeyRow> keys;
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool row, query.next());
    if (!row) return keys;
    keys.push_back(row_of(query));
  }
}

}  // namespace mlxr
