#pragma once
// Writes GGUF version 3. Alignment is the metadata's general.alignment, else 32. A set of several files carries the
// split.* keys of llama.cpp (u16 split.no and split.count, i32 split.tensors.count) and the metadata in its first file.

#include <span>
#include <string>

#include "core/base/status.h"
#include "core/io/metadata.h"
#include "core/io/weight_source.h"
#include "core/io/weight_writer.h"

namespace mlxr {

class GgufWriter : public WeightWriter {
 public:
  // split.* keys of `metadata` are left out. A general.alignment that is not a power of two of at least 8 is reported
  // by the first write.
  GgufWriter(std::string path, Metadata metadata, WeightWriterOptions options = {});

 private:
  Status check_entry(const Entry& entry) const override;
  Result<std::string> header(const Shard& shard) const override;
  std::size_t padding(std::size_t num_bytes) const override;
  Result<std::vector<std::unique_ptr<AtomicFile>>> side_files() const override;

  Metadata metadata_;
  std::size_t alignment_;
};

// All at once, for tensors in memory.
Status write_gguf(const std::string& path, const Metadata& metadata, std::span<const WeightTensor> tensors);

}  // namespace mlxr
