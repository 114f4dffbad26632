#include "core/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/base/mapping_guard.h"

namespace mlxr {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    std::string message = path + ": " + std::strerror(error);
    return error == ENOENT ? not_found(std::move(message)) : internal(std::move(message));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return invalid_argument(path + ": not a regular file");
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  const std::byte* data = nullptr;
  if (size > 0) {
    // MAP_SHARED: pages stay those of the page cache, so that several processes share one copy of the weights.
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      return internal(path + ": cannot map: " + std::strerror(error));
    }
    data = static_cast<const std::byte*>(address);
  }
  ::close(fd);
  mapping_guard::add({data, size});
  return std::shared_ptr<const MappedFile>(new MappedFile(path, {data, size}));
}

void prefault(std::span<const std::byte> mapped) {
  if (mapped.empty()) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(mapped.data()) / page * page;
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(mapped.data()) + mapped.size();
#ifdef MADV_POPULATE_READ
  if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0) return;
#endif
  // Older systems: touch each page.
  for (std::uintptr_t address = begin; address < end; address += page)
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(std::max(address, end - mapped.size())));
}

MappedFile::~MappedFile() {
  mapping_guard::remove(bytes_);
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace mlxr
