#include "daemon/registry/file_stamp.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

namespace mlxr {

std::optional<FileStamp> file_stamp(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
#ifdef __APPLE__
  const timespec time = info.st_mtimespec;
#else
  const timespec time = info.st_mtim;
#endif
  FileStamp stamp;
  stamp.is_file = S_ISREG(info.st_mode);
  stamp.is_folder = S_ISDIR(info.st_mode);
  stamp.size_bytes = static_cast<std::uint64_t>(info.st_size);
  stamp.disk_bytes = static_cast<std::uint64_t>(info.st_blocks) * 512;
  stamp.modified_ns = static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  return stamp;
}

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

std::int64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace mlxr
