#pragma once
// From what an operator set to what the service, the engines and the scheduler are made with.

#include "daemon/registry/catalog.h"
#include "daemon/service/make_model_service.h"
#include "daemon/settings/settings.h"

namespace mlxr::server {

// Without resolver and observer. kNotFound when draft_model names nothing.
Result<ServiceDependencies> service_dependencies(const Settings& settings, Catalog& catalog);

}  // namespace mlxr::server
