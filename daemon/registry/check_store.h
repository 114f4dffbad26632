#pragma once
// check_store(): whether manifests, blobs and the database agree; what `mlxr doctor` prints, and what it can put right.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/catalog.h"

namespace mlxr {

enum class StoreFault : std::uint8_t {
  kBrokenManifest,    // cannot be read: while it is there, nothing is collected
  kMissingBlob,       // a model without one of its files; a pull or create brings it back
  kWrongSize,         // a blob of another size than its manifest says
  kWrongBytes,        // a blob whose digest is another; found with verify
  kBrokenView,        // the folder of a model of several files
  kUnreferencedBlob,  // nothing refers to it
  kPartial,           // of a download or creation that was broken off
  kStaleView,         // the folder of a model that is gone
  kStaleIndex,        // the database knows a model that is gone
  kMissingImport,     // an imported model's file is gone
  kDatabase,          // SQLite says that the file is damaged
};
const char* store_fault_name(StoreFault fault);  // "missing blob"

struct StoreProblem {
  StoreFault fault;
  std::string subject;      // a model's name, a digest, a path
  std::string text;         // one line for people, without the subject
  std::uint64_t bytes = 0;  // on disk, of what could go
  bool repaired = false;
  bool harmless = false;  // takes space, and breaks nothing
};

struct StoreReport {
  std::uint64_t num_models = 0;
  std::uint64_t num_imported = 0;
  std::uint64_t num_blobs = 0;
  std::uint64_t blob_bytes = 0;
  bool in_use = false;  // somebody is pulling or creating: what looks left over may be theirs
  std::vector<StoreProblem> problems;

  // No model is broken; there may be leftovers.
  bool sound() const;
  bool clean() const { return problems.empty(); }
};

struct CheckStoreOptions {
  bool verify = false;  // reads every blob
  // Removes leftovers that are older than `min_age_s`, blobs of wrong bytes, stale views and rows; makes views again.
  bool repair = false;
  std::int64_t min_age_s = 3600;
  std::function<bool(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress = {};  // of verify; false: stop
};

Result<StoreReport> check_store(Catalog& catalog, const CheckStoreOptions& options);

}  // namespace mlxr
