#pragma once
// Facts of model files, kept in the database for as long as the files are the same. Any thread.

#include <string>

#include "daemon/registry/cache_entries.h"
#include "daemon/registry/model_facts.h"

namespace mlxr {

class FactsCache {
 public:
  explicit FactsCache(Database& database) : entries_(database) {}

  // As inspect_model. What the database has to say of errors of its own is no reason not to look at the file.
  Result<ModelFacts> inspect(const std::string& path);
  void trim();

 private:
  CacheEntries entries_;
};

}  // namespace mlxr
