// check_store_of() of doctor_checks.h.

#include <filesystem>
#include <system_error>

#include <fmt/core.h>

#include "cli/doctor_checks.h"
#include "cli/output.h"
#include "daemon/registry/catalog.h"
#include "daemon/registry/check_store.h"
#include "daemon/registry/database.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;

Finding failed_store(const Status& status, const char* advice) {
  return {Health::kError, "store", status.message(), advice};
}

}  // namespace

std::vector<Finding> check_store_of(const std::string& models, const StoreCheck& options) {
  std::error_code failed;
  if (models.empty() || !fs::exists(models, failed)) return {Finding{Health::kOk, "store", "empty", {}}};
  const auto database = Database::open((fs::path(models) / "registry.db").string());
  if (!database.ok())
    return {failed_store(database.status(), "move registry.db away: models come back from their manifests")};
  CatalogOptions catalog_options;
  catalog_options.models_folder = models;
  const auto catalog = Catalog::open(**database, catalog_options);
  if (!catalog.ok()) return {failed_store(catalog.status(), "see the file")};
  CheckStoreOptions check;
  check.verify = options.verify;
  check.repair = options.repair;
  const Result<StoreReport> report = check_store(**catalog, check);
  if (!report.ok()) return {failed_store(report.status(), "see the file")};
  std::vector<Finding> findings;
  findings.push_back({Health::kOk,
                      "store",
                      fmt::format("{} models, {} imported, {} blobs of {}", report->num_models, report->num_imported,
                                  report->num_blobs, format_bytes(static_cast<double>(report->blob_bytes))),
                      {}});
  for (const StoreProblem& problem : report->problems) {
    Finding finding{.health = problem.harmless ? Health::kWarning : Health::kError,
                    .subject = store_fault_name(problem.fault),
                    .text = fmt::format("{}: {}", problem.subject, problem.text),
                    .advice = problem.harmless ? "'mlxr doctor --repair' removes what is an hour old"
                                               : "pull or create the model again"};
    if (problem.repaired) {
      finding.health = Health::kOk;
      finding.text += " (repaired)";
      finding.advice.clear();
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace mlxr::cli
