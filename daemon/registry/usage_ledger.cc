#include "daemon/registry/usage_ledger.h"

namespace mlxr {
namespace {

Usage usage_of(const Query& query, int first_column) {
  return {query.integer(first_column), query.integer(first_column + 1), query.integer(first_column + 2),
          query.integer(first_column + 3)};
}

}  // namespace

Status UsageLedger::add(const std::string& key_id, const std::string& model, std::int64_t day, const Usage& usage) {
  Query query(database_,
              "INSERT INTO usage (key_id, model, day, requests, prompt_tokens, cached_tokens, generated_tokens) "
              "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key_id, day, model) DO UPDATE SET "
              "requests = requests + excluded.requests, prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
              "cached_tokens = cached_tokens + excluded.cached_tokens, "
              "generated_tokens = generated_tokens + excluded.generated_tokens");
  query.bind(key_id).bind(model).bind(day);
  query.bind(usage.requests).bind(usage.prompt_tokens).bind(usage.cached_tokens).bind(usage.generated_tokens);
  return query.run().status();
}

Result<Usage> UsageLedger::total(const std::string& key_id, std::int64_t first_day, std::int64_t last_day) {
  Query query(database_,
              "SELECT sum(requests), sum(prompt_tokens), sum(cached_tokens), sum(generated_tokens) FROM usage "
              "WHERE key_id = ? AND day BETWEEN ? AND ?");
  MLXR_ASSIGN_OR_RETURN(const bool row, query.bind(key_id).bind(first_day).bind(last_day).next());
  return row ? usage_of(query, 0) : Usage();
}

Result<std::vector<UsageRow>> UsageLedger::rows(std::int64_t first_day, std::int64_t last_day) {
  Query query(database_,
              "SELECT key_id, model, day, requests, prompt_tokens, cached_tokens, generated_tokens FROM usage "
              "WHERE day BETWEEN ? AND ? ORDER BY day, key_id, model");
  query.bind(first_day).bind(last_day);
  std::vector<UsageRow> rows;
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool row, query.next());
    if (!row) return rows;
    rows.push_back({query.text(0), query.text(1), query.integer(2), usage_of(query, 3)});
  }
}

}  // namespace mlxr
