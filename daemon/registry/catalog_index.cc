#include "daemon/registry/catalog_index.h"

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

constexpr const char* kSelect =
    "SELECT tags.name, models.digest, models.kind, models.path, models.source, models.manifest_path, models.files, "
    "models.details, models.size_bytes, tags.file_bytes, tags.file_time_ns, tags.modified_ns, models.id "
    "FROM tags JOIN models ON models.id = tags.model_id";

}  // namespace

Result<IndexRow> CatalogIndex::row_of(const Query& query) {
  IndexRow row;
  row.name = query.text(0);
  row.digest = query.text(1);
  row.imported = query.text(2) == "imported";
  row.path = query.text(3);
  row.source = query.text(4);
  row.manifest_path = query.text(5);
  row.files = files_from_json(query.text(6));
  details_from_json(query.text(7), row.details, row.capabilities);
  row.size_bytes = static_cast<std::uint64_t>(query.integer(8));
  row.file_bytes = static_cast<std::uint64_t>(query.integer(9));
  row.file_time_ns = query.integer(10);
  row.modified_ns = query.integer(11);
  if (!row.imported) return row;
  Query adapters(database_, "SELECT kind, path FROM adapters WHERE model_id = ? ORDER BY id");
  adapters.bind(query.integer(12));
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool found, adapters.next());
    if (!found) return row;
    (adapters.text(0) == "adapter" ? row.adapter_paths : row.projector_paths).push_back(adapters.text(1));
  }
}

Result<std::vector<IndexRow>> CatalogIndex::rows() {
  Query query(database_, fmt::format("{} ORDER BY tags.name", kSelect));
  std::vector<IndexRow> rows;
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool found, query.next());
    if (!found) return rows;
    MLXR_ASSIGN_OR_RETURN(IndexRow row, row_of(query));
    rows.push_back(std::move(row));
  }
}

Result<std::optional<IndexRow>> CatalogIndex::find(const std::string& name) {
  Query query(database_, fmt::format("{} WHERE tags.name = ?", kSelect));
  MLXR_ASSIGN_OR_RETURN(const bool found, query.bind(name).next());
  if (!found) return std::optional<IndexRow>();
  MLXR_ASSIGN_OR_RETURN(IndexRow row, row_of(query));
  return std::optional<IndexRow>(std::move(row));
}

Status CatalogIndex::put(const IndexRow& row) {
  std::int64_t model_id = 0;
  {
    Query query(database_,
                "INSERT INTO models (digest, kind, path, source, manifest_path, files, details, size_bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET kind = excluded.kind, "
                "path = excluded.path, source = excluded.source, manifest_path = excluded.manifest_path, "
                "files = excluded.files, details = excluded.details, size_bytes = excluded.size_bytes RETURNING id");
    query.bind(row.digest).bind(row.imported ? "imported" : "store").bind(row.path).bind(row.source);
    query.bind(row.manifest_path).bind(files_to_json(row.files));
    query.bind(details_to_json(row.details, row.capabilities)).bind(static_cast<std::int64_t>(row.size_bytes));
    MLXR_ASSIGN_OR_RETURN(const bool found, query.next());
    MLXR_CHECK(found, "an upsert returns its row");
    model_id = query.integer(0);
    MLXR_RETURN_IF_ERROR(query.run().status());
  }
  MLXR_RETURN_IF_ERROR(put_adapters(model_id, row));
  Query query(database_,
              "INSERT INTO tags (name, model_id, file_bytes, file_time_ns, modified_ns) VALUES (?, ?, ?, ?, ?) "
              "ON CONFLICT (name) DO UPDATE SET name = excluded.name, model_id = excluded.model_id, "
              "file_bytes = excluded.file_bytes, file_time_ns = excluded.file_time_ns, "
              "modified_ns = excluded.modified_ns");
  query.bind(row.name).bind(model_id).bind(static_cast<std::int64_t>(row.file_bytes));
  return query.bind(row.file_time_ns).bind(row.modified_ns).run().status();
}

Status CatalogIndex::put_adapters(std::int64_t model_id, const IndexRow& row) {
  {
    Query query(database_, "DELETE FROM adapters WHERE model_id = ?");
    MLXR_RETURN_IF_ERROR(query.bind(model_id).run().status());
  }
  const std::pair<const char*, const std::vector<std::string>*> lists[] = {{"adapter", &row.adapter_paths},
                                                                           {"projector", &row.projector_paths}};
  for (const auto& [kind, paths] : lists) {
    for (const std::string& path : *paths) {
      Query query(database_, "INSERT INTO adapters (model_id, kind, path) VALUES (?, ?, ?)");
      MLXR_RETURN_IF_ERROR(query.bind(model_id).bind(kind).bind(path).run().status());
    }
  }
  return {};
}

Status CatalogIndex::remove(const std::string& name) {
  Query query(database_, "DELETE FROM tags WHERE name = ?");
  return query.bind(name).run().status();
}

Status CatalogIndex::prune() {
  return database_.execute("DELETE FROM models WHERE id NOT IN (SELECT model_id FROM tags)");
}

Result<std::vector<std::string>> CatalogIndex::names(const std::string& digest) {
  Query query(database_,
              "SELECT tags.name FROM tags JOIN models ON models.id = tags.model_id WHERE models.digest = ? "
              "ORDER BY tags.name");
  query.bind(digest);
  std::vector<std::string> names;
  for (;;) {
    MLXR_ASSIGN_OR_RETURN(const bool found, query.next());
    if (!found) return names;
    names.push_back(query.text(0));
  }
}

}  // namespace mlxr
