#pragma once
// The bytes of one file, wherever they live: a mapping or, in tests and fuzz targets, memory. A value.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/status.h"

namespace mlxr {

struct FileBytes {
  std::string path;  // names the file in errors
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> keepalive;  // what `bytes` points into

  // Maps a file read-only; errors as MappedFile::open.
  static Result<FileBytes> map(const std::string& path);
};

}  // namespace mlxr
