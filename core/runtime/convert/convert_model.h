#pragma once
// Whole models from one kind of file to another: Hugging Face folders, GGUF files, bare safetensors.

#include <functional>
#include <string>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/runtime/convert/model_plan.h"

namespace mlxr {

struct ConvertOptions {
  std::optional<QuantMix> mix = {};  // absent: keep the types
  bool pure = false;
  std::string importance_path = {};  // empty: none
  std::uint64_t max_shard_bytes = 0;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress = {};
};

struct ConvertReport {
  std::vector<TensorReport> tensors;
  std::vector<std::string> files;
  std::vector<std::string> warnings;
};

// OUT ending in ".gguf" is a GGUF file, in ".safetensors" the bare tensors under Hugging Face's names, anything else a
// Hugging Face folder. Files appear whole or not at all. kInvalidArgument when OUT is the source itself, or for a block
// type in safetensors, which has no name for it.
Result<ConvertReport> convert_model(const std::string& source, const std::string& out, ThreadPool& pool,
                                    const ConvertOptions& options);

}  // namespace mlxr
