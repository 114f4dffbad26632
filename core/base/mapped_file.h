#pragma once
// A file mapped read-only into memory. The mapping lives as long as the object; share it through std::shared_ptr.
// Thread-safe: immutable after open. A file that is cut short while it is mapped reads as zeros there and counts as
// damaged (mapping_guard.h).

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/status.h"

namespace mlxr {

class MappedFile {
 public:
  // Fails with kNotFound, or kInternal naming the path and the system's reason. An empty file maps to an empty span.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, std::span<const std::byte> bytes) : path_(std::move(path)), bytes_(bytes) {}

  std::string path_;
  std::span<const std::byte> bytes_;
};

// Reads the pages of a mapped range into memory, so that later accesses find them there. Best effort: pages may be
// given back by the system at any time.
void prefault(std::span<const std::byte> mapped);

}  // namespace mlxr
