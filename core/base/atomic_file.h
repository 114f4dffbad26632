#pragma once
// A file that appears whole or not at all: bytes go to a temporary file in the same folder, which commit() renames over
// the target after they are on disk. Destroyed without commit(), it leaves nothing behind and the target as it was.
// One thread at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

class AtomicFile {
 public:
  // kNotFound when the folder does not exist, kInvalidArgument when `path` is a folder; other failures of the system,
  // here and below, are kInternal or, when the disk is full, kResourceExhausted. All name `path`.
  static Result<std::unique_ptr<AtomicFile>> create(const std::string& path);

  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status write(std::span<const std::byte> bytes);  // appends; buffered
  Status write(std::string_view text);
  // Puts what was written on disk. commit() does it too; a set of files that belong together syncs all, then commits
  // all.
  Status sync();
  Status commit();

  const std::string& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }  // written so far

 private:
  AtomicFile(std::string path, std::string temporary, int fd);
  Status flush();
  Status write_through(std::span<const std::byte> bytes);
  Status system_error(const char* action, int error) const;
  void close();

  std::string path_;
  std::string temporary_;  // empty once renamed
  int fd_;
  std::vector<std::byte> buffer_;
  std::uint64_t size_bytes_ = 0;
};

// Replaces a small file's content.
Status write_file_atomically(const std::string& path, std::string_view text);

}  // namespace mlxr
