#include <algorithm>
#include <charconv>
#include <chrono>

#include "daemon/access/access.h"
#include "daemon/registry/usage_ledger.h"
#include "daemon/server/native/native_json.h"
#include "daemon/server/native/native_routes.h"
#include "daemon/telemetry/log.h"

namespace mlxr::server {
namespace {

Json optional_time(const std::optional<std::int64_t>& time) {
  return time ? Json(*time) : Json();
}

Json key_json(const StoredKey& key) {
  return {{"id", key.id},
          {"name", key.name},
          {"prefix", key.prefix},
          {"scopes", key.scopes},
          {"models", key.models},
          {"requests_per_minute", key.requests_per_minute},
          {"tokens_per_minute", key.tokens_per_minute},
          {"tokens_per_day", key.tokens_per_day},
          {"tokens_per_month", key.tokens_per_month},
          {"weight", key.weight},
          {"created", key.created},
          {"expires", optional_time(key.expires)},
          {"revoked", optional_time(key.revoked)},
          {"last_used", optional_time(key.last_used)}};
}

http::Response list_keys(const DaemonServices& services, const http::Request& /*request*/) {
  Json list = Json::array();
  for (const StoredKey& key : services.access.keys())
    list.push_back(key_json(key));
  return native_answer({{"keys", std::move(list)}});
}

http::Response create_key(const DaemonServices& services, const http::Request& request) {
  return with_json_body(request, [&services](JsonFields& fields) -> http::Response {
    constexpr std::size_t kMaxEntries = 1000;
    NewKey key;
    key.name = fields.required_string("name");
    if (auto scopes = fields.strings("scopes", kMaxEntries)) key.scopes = std::move(*scopes);
    if (auto models = fields.strings("models", kMaxEntries)) key.models = std::move(*models);
    key.requests_per_minute = fields.integer("requests_per_minute", {.min = 0}).value_or(0);
    key.tokens_per_minute = fields.integer("tokens_per_minute", {.min = 0}).value_or(0);
    key.tokens_per_day = fields.integer("tokens_per_day", {.min = 0}).value_or(0);
    key.tokens_per_month = fields.integer("tokens_per_month", {.min = 0}).value_or(0);
    key.weight = fields.number("weight", {.min = 1e-3, .max = 1e3}).value_or(1.0);
    constexpr std::int64_t kLatest = 253'402'300'799;  // the end of the year 9999
    if (const auto expires = fields.integer("expires", {.min = 1, .max = kLatest}))
      key.expires = WallTime(std::chrono::seconds(*expires));
    fields.refuse_others();
    if (!fields.notes().ok()) return {};  // with_json_body says why
    const Result<CreatedKey> created = services.access.create_key(key, std::chrono::system_clock::now());
    if (!created.ok()) return native_error(to_api_error(created.status()));
    services.log.info("key.created", {{"id", created->stored.id}, {"name", created->stored.name}});
    Json answer = key_json(created->stored);
    answer["key"] = created->key.reveal();  // once, here
    return native_answer(answer, 201);
  });
}

http::Response revoke_key(const DaemonServices& services, const http::Request& request) {
  const std::string& id = request.captures.at("id");
  const Status revoked = services.access.revoke_key(id, std::chrono::system_clock::now());
  if (revoked.ok()) services.log.info("key.revoked", {{"id", id}});
  return native_answer(revoked);
}

http::Response show_usage(const DaemonServices& services, const http::Request& request) {
  std::int64_t days = 30;
  if (const auto asked = request.query_value("days")) {
    const auto parsed = std::from_chars(asked->data(), asked->data() + asked->size(), days);
    if (parsed.ec != std::errc() || parsed.ptr != asked->data() + asked->size() || days < 1 || days > 36'500)
      return native_error(make_error(ApiErrorKind::kInvalidRequest, "days must be a number from 1 to 36500", "days"));
  }
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()).time_since_epoch().count();
  const Result<std::vector<UsageRow>> rows = services.usage.rows(today - days + 1, today);
  if (!rows.ok()) return native_error(to_api_error(rows.status()));
  const std::vector<StoredKey> keys = services.access.keys();
  Json list = Json::array();
  for (const UsageRow& row : *rows) {
    const auto key = std::ranges::find(keys, row.key_id, &StoredKey::id);
    list.push_back({{"key_id", row.key_id},
                    {"key", key == keys.end() ? std::string() : key->name},
                    {"model", row.model},
                    {"day", row.day},
                    {"requests", row.usage.requests},
                    {"prompt_tokens", row.usage.prompt_tokens},
                    {"cached_tokens", row.usage.cached_tokens},
                    {"generated_tokens", row.usage.generated_tokens}});
  }
  return native_answer({{"usage", std::move(list)}});
}

}  // namespace

void register_key_routes(http::Router& router, const DaemonServices& services) {
  struct Row {
    http::Method method;
    const char* pattern;
    http::Response (*answer)(const DaemonServices&, const http::Request&);
  };
  constexpr Row kRows[] = {
      {http::Method::kGet, "/v1/keys", list_keys},
      {http::Method::kPost, "/v1/keys", create_key},
      {http::Method::kDelete, "/v1/keys/{id}", revoke_key},
      {http::Method::kGet, "/v1/usage", show_usage},
  };
  for (const Row& row : kRows) {
    router.add({.method = row.method,
                .pattern = row.pattern,
                .handler = [&services, answer = row.answer](
                               auto exchange) { exchange->respond(answer(services, exchange->request())); },
                .options = {.blocking = true, .scope = "admin"}});
  }
}

}  // namespace mlxr::server
