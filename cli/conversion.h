#pragma once
// What `mlxr convert` and `mlxr quantize` share: options, the run with its progress, the report.

#include <cstdint>
#include <string>

#include "cli/output.h"
#include "core/base/status.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

struct ConversionOptions {
  std::string source;
  std::string out;
  std::string type;     // empty: keep
  std::string imatrix;  // empty: none
  bool pure = false;
  bool details = false;
  int threads = 0;  // 0: the physical cores
  std::uint64_t shard_mib = 0;
};

// --threads, --max-shard-mib, --details
void add_conversion_options(CLI::App& app, ConversionOptions& options);

// `label` stands before the progress bar.
Status run_conversion(const ConversionOptions& options, const char* label, Output& output);

}  // namespace mlxr::cli
