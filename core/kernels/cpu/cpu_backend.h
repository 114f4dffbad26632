#pragma once
// The CPU backend: the reference backend's memory and tensors, with every op vectorised for the instruction set that
// the machine has (chosen at run time) and shared out between the threads of a pool. Small ops run on the calling
// thread. Results do not depend on the number of threads, nor a row's on the other rows of the batch.

#include <memory>
#include <optional>

#include "core/backend/backend.h"
#include "core/base/cpu_features.h"

namespace mlxr {

struct CpuOptions {
  int num_threads = 0;  // with the calling one; 0: one for each core that this process may use
  // Use no instructions beyond this level, whatever MLXR_FORCE_ISA says.
  std::optional<Isa> isa = std::nullopt;
};

// kInvalidArgument or kUnsupported when options.isa or MLXR_FORCE_ISA asks for what the machine does not have.
Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options);

}  // namespace mlxr
