#pragma once
// The header of one GGUF file, read and checked; gguf.h puts files together.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "core/io/file_bytes.h"
#include "core/io/metadata.h"
#include "core/io/weight_source.h"

namespace mlxr {

struct GgufHeader {
  std::uint32_t version = 0;
  std::uint32_t alignment = 0;
  std::size_t data_offset = 0;
  Metadata metadata;
  std::vector<WeightTensor> tensors;  // in file order; ranges checked against the file and each other
};

// Errors as GgufFile::open, with the file's path in front.
Result<GgufHeader> parse_gguf_header(const FileBytes& file);

}  // namespace mlxr
