#include "daemon/registry/facts_cache.h"

namespace mlxr {
namespace {

constexpr const char* kKind = "model-facts";
constexpr std::int64_t kMaxEntries = 10000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

Result<ModelFacts> FactsCache::inspect(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto files, model_files(path));
  const std::string key = digest_of_files(files);
  const std::int64_t now = now_ns() / kNsPerSecond;
  ModelFacts facts;
  if (const auto known = entries_.find(kKind, key, now); known.ok() && *known && facts_from_json(**known, facts)) {
    return facts;
  }
  MLXR_ASSIGN_OR_RETURN(facts, inspect_model(path));
  // Not written down, it is found out again next time.
  [[maybe_unused]] const Status put = entries_.put(kKind, key, facts_to_json(facts), now);
  return facts;
}

void FactsCache::trim() {
  [[maybe_unused]] const auto trimmed = entries_.trim(kKind, kMaxEntries);
}

}  // namespace mlxr
