#pragma once
// What the registry asks of a file before it opens it, and small durable changes of names.

#include <cstdint>
#include <optional>
#include <string>

namespace mlxr {

struct FileStamp {
  bool is_file = false;
  bool is_folder = false;
  std::uint64_t size_bytes = 0;
  std::uint64_t disk_bytes = 0;  // what it takes, less than its size when it is sparse
  std::int64_t modified_ns = 0;  // since the Unix epoch
};

// Follows links. nullopt: nothing there, or not for us to see.
std::optional<FileStamp> file_stamp(const std::string& path);

// Puts the names in a folder on disk. Some file systems cannot; then nothing happens.
void sync_folder(const std::string& folder);

std::int64_t now_ns();  // since the Unix epoch

}  // namespace mlxr
