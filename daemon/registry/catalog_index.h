#pragma once
// The catalog's tables: models and the names (tags) that mean them, with what was read from their files. Any thread; a
// caller that changes several rows opens a Transaction.

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/registry/database.h"
#include "daemon/registry/model_facts.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

// A name with its model.
struct IndexRow {
  std::string name;  // host/namespace/model:tag
  std::string digest;
  bool imported = false;
  std::string path;         // what is opened
  std::string source = {};  // of imported ones, like the next two
  std::string manifest_path = {};
  std::vector<ModelFile> files = {};
  std::vector<std::string> adapter_paths = {};
  std::vector<std::string> projector_paths = {};
  ModelDetails details = {};
  std::vector<std::string> capabilities = {};
  std::uint64_t size_bytes = 0;
  std::uint64_t file_bytes = 0;   // of the manifest
  std::int64_t file_time_ns = 0;  // of the manifest
  std::int64_t modified_ns = 0;
};

class CatalogIndex {
 public:
  explicit CatalogIndex(Database& database) : database_(database) {}

  Result<std::vector<IndexRow>> rows();
  Result<std::optional<IndexRow>> find(const std::string& name);  // without regard to case
  // Inserts or replaces both the name and what is known of its model.
  Status put(const IndexRow& row);
  Status remove(const std::string& name);  // also when there is none
  // Models that no name means any more.
  Status prune();
  // Of a model, sorted.
  Result<std::vector<std::string>> names(const std::string& digest);

 private:
  Result<IndexRow> row_of(const Query& query);
  Status put_adapters(std::int64_t model_id, const IndexRow& row);

  Database& database_;
};

}  // namespace mlxr
