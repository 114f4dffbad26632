#pragma once
// GGUF: versions 1 to 3, little-endian, single files and split sets, mapped.
// Layout: github.com/ggml-org/ggml docs/gguf.md; version 1 has 32-bit counts, dimensions and string lengths.
//
// Nothing in a file is believed: counts are bounded by the bytes that are left, strings, dimensions and offsets are
// checked, tensors may not overlap. Errors name the file, the field and the offset: kCorrupt for broken bytes,
// kUnsupported for what is well-formed and foreign (big-endian, a newer version, a removed tensor type).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/io/file_bytes.h"
#include "core/io/metadata.h"
#include "core/io/tensor_table.h"
#include "core/io/weight_source.h"

namespace mlxr {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr std::uint32_t kGgufDefaultAlignment = 32;

class GgufFile : public WeightSource {
 public:
  // Opens a file, or the whole set when `path` is any file of a split one ("x-00002-of-00005.gguf"). Files without
  // tensors (vocabulary only) are fine.
  static Result<std::unique_ptr<GgufFile>> open(const std::string& path);
  // One file from memory; a file of a split set is then read alone.
  static Result<std::unique_ptr<GgufFile>> parse(const FileBytes& file);

  std::span<const WeightTensor> tensors() const override { return table_.tensors(); }
  const WeightTensor* find(std::string_view name) const override { return table_.find(name); }

  const Metadata& metadata() const { return metadata_; }  // of the first file of a split set
  const std::string& path() const { return paths_.front(); }
  std::span<const std::string> shard_paths() const { return paths_; }  // one element for a single file
  std::uint32_t version() const { return version_; }
  std::uint32_t alignment() const { return alignment_; }
  // Where tensor data starts in the (first) file.
  std::size_t data_offset() const { return data_offset_; }

 private:
  GgufFile() = default;
  static Result<std::unique_ptr<GgufFile>> open_split(const std::string& path, std::uint64_t num_shards);

  std::vector<std::string> paths_;
  Metadata metadata_;
  TensorTable table_;
  std::uint32_t version_ = 0;
  std::uint32_t alignment_ = kGgufDefaultAlignment;
  std::size_t data_offset_ = 0;
};

}  // namespace mlxr
