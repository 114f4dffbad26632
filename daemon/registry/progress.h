#pragma once
// What happens while a model is made, pulled or pushed: the lines that Ollama's clients read.

#include <cstdint>
#include <functional>
#include <string>

namespace mlxr {

struct RegistryProgress {
  std::string status;
  std::string digest = {};  // with the two below; empty: a status alone
  std::uint64_t total_bytes = 0;
  std::uint64_t completed_bytes = 0;
};

// Called from whichever thread does the work, one call at a time. False: stop, with kCancelled.
using ProgressSink = std::function<bool(const RegistryProgress&)>;

}  // namespace mlxr
