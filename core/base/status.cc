#include "core/base/status.h"

namespace mlxr {

const std::string& Status::message() const {
  static const std::string kEmpty;
  return ok() ? kEmpty : state_->message;
}

Status Status::with_context(const std::string& context) const {
  if (ok()) return *this;
  return {state_->code, context + ": " + state_->message};
}

}  // namespace mlxr
