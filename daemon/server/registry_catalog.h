#pragma once
// The registry's catalogue as dialects list it.

#include "daemon/registry/catalog.h"
#include "daemon/server/model_catalog.h"

namespace mlxr::server {

class RegistryCatalog : public ModelCatalog {
 public:
  // Must outlive it.
  explicit RegistryCatalog(Catalog& catalog) : catalog_(catalog) {}

  std::vector<ListedModel> list() override;  // without those that cannot be used
  std::optional<ListedModel> find(const std::string& name) override;

 private:
  Catalog& catalog_;
};

}  // namespace mlxr::server
