#pragma once
// Writes safetensors. A set of several files gets PATH.index.json beside it, as Hugging Face's loaders expect.

#include <map>
#include <span>
#include <string>

#include "core/base/status.h"
#include "core/io/weight_source.h"
#include "core/io/weight_writer.h"

namespace mlxr {

class SafetensorsWriter : public WeightWriter {
 public:
  // `metadata` becomes "__metadata__"; strings that are not UTF-8 are reported by the first write.
  explicit SafetensorsWriter(std::string path, std::map<std::string, std::string> metadata = {{"format", "pt"}},
                             WeightWriterOptions options = {});

 private:
  Status check_entry(const Entry& entry) const override;
  Result<std::string> header(const Shard& shard) const override;
  std::size_t padding(std::size_t num_bytes) const override;
  Result<std::vector<std::unique_ptr<AtomicFile>>> side_files() const override;

  std::map<std::string, std::string> metadata_;
};

// All at once, for tensors in memory.
Status write_safetensors(const std::string& path, std::span<const WeightTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace mlxr
