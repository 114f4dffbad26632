// The list of all models. The index is compared with what is on disk by size and time, and what changed is read again.

#include <algorithm>
#include <map>
#include <set>

#include "core/runtime/model_path.h"
#include "daemon/registry/catalog_state.h"

namespace mlxr {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

ModelSummary summary_of(const ModelRecord& record) {
  ModelSummary summary;
  summary.name = record.name;
  summary.full_name = record.full_name;
  summary.digest = record.digest;
  summary.origin = record.origin;
  summary.path = record.path;
  summary.details = record.details;
  summary.capabilities = record.capabilities;
  summary.size_bytes = record.size_bytes;
  summary.modified = record.modified;
  return summary;
}

ModelSummary summary_of(const IndexRow& row) {
  ModelSummary summary;
  summary.name = display_name(row.name);
  summary.full_name = row.name;
  summary.digest = row.digest;
  summary.origin = row.imported ? ModelOrigin::kImported : ModelOrigin::kStore;
  summary.path = row.path;
  summary.details = row.details;
  summary.capabilities = row.capabilities;
  summary.size_bytes = row.size_bytes;
  summary.modified = time_of_ns(row.modified_ns);
  return summary;
}

IndexRow row_of(const ModelRecord& record, const ManifestFile& file) {
  IndexRow row;
  row.name = file.name.full();
  row.digest = record.digest;
  row.path = record.path;
  row.details = record.details;
  row.capabilities = record.capabilities;
  row.size_bytes = record.size_bytes;
  row.file_bytes = file.size_bytes;
  row.file_time_ns = file.modified_ns;
  row.modified_ns = file.modified_ns;
  return row;
}

class Listing {
 public:
  explicit Listing(Catalog::State& state) : state_(state) {}

  Result<std::vector<ModelSummary>> run() {
    MLXR_ASSIGN_OR_RETURN(std::vector<IndexRow> rows, state_.index.rows());
    std::map<std::string, IndexRow> known;
    for (IndexRow& row : rows)
      known.emplace(lower_case(row.name), std::move(row));
    for (const ManifestFile& file : state_.manifests.list())
      add_manifest(file, known);
    for (const auto& [key, row] : known) {
      if (row.imported && !names_.contains(key)) add_import(row);
      if (!row.imported && !names_.contains(key)) vanished_.push_back(row.name);
    }
    if (state_.options.include_model_folders) {
      for (const NamedModel& model : named_models())
        add_folder_model(model);
    }
    MLXR_RETURN_IF_ERROR(write_down());
    std::stable_sort(models_.begin(), models_.end(),
                     [](const ModelSummary& a, const ModelSummary& b) { return a.modified > b.modified; });
    return std::move(models_);
  }

 private:
  void add_manifest(const ManifestFile& file, const std::map<std::string, IndexRow>& known) {
    const std::string key = file.name.key();
    if (!names_.insert(key).second) return;  // two spellings of one name on disk
    const auto found = known.find(key);
    if (found != known.end() && !found->second.imported && found->second.file_bytes == file.size_bytes &&
        found->second.file_time_ns == file.modified_ns) {
      models_.push_back(summary_of(found->second));
      ModelSummary& summary = models_.back();
      if (!file_stamp(summary.path)) summary.problem = summary.path + " is missing";
      return;
    }
    const auto record = state_.record_of_store(file);
    if (record.ok()) {
      models_.push_back(summary_of(*record));
      changed_.push_back(row_of(*record, file));
      return;
    }
    ModelSummary summary;
    summary.name = file.name.display();
    summary.full_name = file.name.full();
    summary.modified = time_of_ns(file.modified_ns);
    summary.problem = record.status().message();
    if (const auto manifest = state_.manifests.read(file); manifest.ok()) {
      summary.digest = manifest->digest;
      summary.size_bytes = manifest->total_bytes();
    }
    models_.push_back(std::move(summary));
  }

  void add_import(const IndexRow& row) {
    names_.insert(lower_case(row.name));
    ModelSummary summary = summary_of(row);
    for (const ModelFile& file : row.files) {
      const auto stamp = file_stamp(file.path);
      if (stamp && stamp->size_bytes == file.size_bytes && stamp->modified_ns == file.modified_ns) continue;
      // Gone, or another file by now.
      const auto record = state_.record_of_import(row);
      if (record.ok()) {
        summary = summary_of(*record);
      } else {
        summary.problem = record.status().message();
      }
      break;
    }
    models_.push_back(std::move(summary));
  }

  void add_folder_model(const NamedModel& model) {
    // A model of the store goes before one of the same name.
    const auto name = parse_model_name(model.name);
    if (name.ok() && names_.contains(name->key())) return;
    const auto record = state_.record_of_path(model.path, model.name, ModelOrigin::kFolder);
    if (record.ok()) {
      models_.push_back(summary_of(*record));
      return;
    }
    ModelSummary summary;
    summary.name = model.name;
    summary.full_name = model.name;
    summary.origin = ModelOrigin::kFolder;
    summary.path = model.path;
    summary.problem = record.status().message();
    models_.push_back(std::move(summary));
  }

  Status write_down() {
    if (changed_.empty() && vanished_.empty()) return {};
    Transaction transaction(state_.database);
    MLXR_RETURN_IF_ERROR(transaction.status());
    for (const std::string& name : vanished_)
      MLXR_RETURN_IF_ERROR(state_.index.remove(name));
    for (const IndexRow& row : changed_)
      MLXR_RETURN_IF_ERROR(state_.index.put(row));
    MLXR_RETURN_IF_ERROR(state_.index.prune());
    return transaction.commit();
  }

  Catalog::State& state_;
  std::vector<ModelSummary> models_;
  std::set<std::string> names_;  // in lower case
  std::vector<IndexRow> changed_;
  std::vector<std::string> vanished_;
};

}  // namespace

Result<std::vector<ModelSummary>> Catalog::State::list() {
  const std::lock_guard lock(list_mutex);
  return Listing(*this).run();
}

}  // namespace mlxr
