// One file of a BlockStore: written whole or not at all, read and checked.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fmt/core.h>

#include "core/runtime/kv/block_store.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxCallBytes = std::size_t{1} << 30;

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() { close(); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int fd() const { return fd_; }
  bool close() {
    const bool closed = fd_ < 0 || ::close(fd_) == 0;
    fd_ = -1;
    return closed;
  }
  bool write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), std::min(bytes.size(), kMaxCallBytes));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
  }
  // The bytes that were there, fewer than asked for at the end of the file; -1 when the system failed.
  std::int64_t read(std::span<std::byte> bytes) const {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::read(fd_, bytes.data() + done, std::min(bytes.size() - done, kMaxCallBytes));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return -1;
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return static_cast<std::int64_t>(done);
  }

 private:
  int fd_;
};

Status system_error(const std::string& path, const char* action, int error) {
  return {error == ENOSPC || error == EDQUOT ? StatusCode::kResourceExhausted : StatusCode::kInternal,
          fmt::format("{}: cannot {}: {}", path, action, std::strerror(error))};
}

// The next start finds by the times of the files what was used last. To the quarter of an hour is enough, which spares
// most reads the write. Not worth an error.
void mark_used(int fd) {
  constexpr std::time_t kSeconds = 15 * 60;
  struct stat info {};
  if (::fstat(fd, &info) != 0 || std::time(nullptr) - info.st_mtime < kSeconds) return;
  constexpr struct timespec kNow[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  ::futimens(fd, kNow);
}

}  // namespace

Status BlockStore::write_file(Job& job) const {
  const std::string path = path_of(job.name, job.parent_name);
  const std::string folder = path.substr(0, path.rfind('/'));
  const std::string pattern = folder + "/.tmp-XXXXXX";
  std::string temporary = pattern;
  int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (fd < 0 && errno == ENOENT) {
    ::mkdir(folder.c_str(), 0700);
    temporary = pattern;
    fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  }
  if (fd < 0) return system_error(path, "create", errno);
  OpenFile file(fd);
  const EncodedBlock block =
      encode_block({fingerprint_, job.key, job.parent, job.tokens}, std::span(job.payload), cipher());
  const bool written = file.write(block.head) && file.write(job.payload) && file.write(block.trailer) && file.close();
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  Status status = system_error(path, "write", errno);
  ::unlink(temporary.c_str());
  return status;
}

Status BlockStore::read_file(const std::string& path, const BlockIdentity& identity, std::span<std::byte> out) const {
  const OpenFile file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (file.fd() < 0) return errno == ENOENT ? not_found(path) : system_error(path, "open", errno);
  std::vector<std::byte> head(block_head_bytes(identity.tokens.size()));
  std::array<std::byte, kBlockTrailerBytes + 1> end{};  // one more byte than there should be
  const std::span<std::byte> parts[] = {head, out, end};
  std::size_t size = 0;
  for (const std::span<std::byte> part : parts) {
    const std::int64_t count = file.read(part);
    if (count < 0) return system_error(path, "read", errno);
    size += static_cast<std::size_t>(count);
  }
  const std::size_t expected = block_file_bytes(identity.tokens.size(), out.size());
  if (size != expected) {
    return corrupt(fmt::format("{}: has {} bytes{}, not {}", path, size, size > expected ? " or more" : "", expected));
  }
  BlockTrailer trailer;
  std::copy_n(end.begin(), trailer.size(), trailer.begin());
  const Status status = decode_block(identity, head, out, trailer, cipher());
  if (!status.ok()) return status.with_context(path);
  mark_used(file.fd());
  return {};
}

}  // namespace mlxr
