#include "daemon/registry/model_record.h"

#include <algorithm>

namespace mlxr {

const char* model_origin_name(ModelOrigin origin) {
  switch (origin) {
    case ModelOrigin::kStore:
      return "store";
    case ModelOrigin::kImported:
      return "imported";
    case ModelOrigin::kFolder:
      return "folder";
    case ModelOrigin::kPath:
      return "path";
  }
  return "";
}

bool ModelRecord::can(std::string_view capability) const {
  return std::find(capabilities.begin(), capabilities.end(), capability) != capabilities.end();
}

}  // namespace mlxr
