#pragma once
// safetensors: one file, mapped. Layout: u64 header length, a JSON header {name: {dtype, shape, data_offsets}}, data
// (github.com/huggingface/safetensors, README).
//
// The header's fields are read one by one and nothing else is accepted, so that a hostile header cannot take more
// memory than a few times its own size. Data ranges must cover the data exactly: in range, without overlaps or gaps.
// Errors name the file and the tensor: kCorrupt, or kUnsupported for a dtype that this build does not know.

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/io/file_bytes.h"
#include "core/io/tensor_table.h"
#include "core/io/weight_source.h"

namespace mlxr {

inline constexpr std::size_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own limit

class SafetensorsFile : public WeightSource {
 public:
  static Result<std::unique_ptr<SafetensorsFile>> open(const std::string& path);
  static Result<std::unique_ptr<SafetensorsFile>> parse(const FileBytes& file);

  // In the order of their data.
  std::span<const WeightTensor> tensors() const override { return table_.tensors(); }
  const WeightTensor* find(std::string_view name) const override { return table_.find(name); }

  // The "__metadata__" strings.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }
  std::size_t data_offset() const { return data_offset_; }

 private:
  SafetensorsFile() = default;

  std::string path_;
  std::map<std::string, std::string> metadata_;
  TensorTable table_;
  std::size_t data_offset_ = 0;
};

}  // namespace mlxr
