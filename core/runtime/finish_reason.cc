#include "core/runtime/finish_reason.h"

#include <cstddef>

namespace mlxr {

const char* finish_reason_name(FinishReason reason) {
  constexpr const char* kNames[] = {"stop", "stop", "length", "context", "cancelled"};
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace mlxr
