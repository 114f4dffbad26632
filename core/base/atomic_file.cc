#include "core/base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/check.h"

namespace mlxr {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr int kMaxNames = 10000;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

StatusCode code_of(int error) {
  if (error == ENOENT || error == ENOTDIR) return StatusCode::kNotFound;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return StatusCode::kResourceExhausted;
  return StatusCode::kInternal;
}

}  // namespace

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return invalid_argument(path + ": is a folder");
  const std::string prefix = folder_of(path) + "/.mlxr-" + std::to_string(::getpid()) + "-";
  for (int i = 0; i < kMaxNames; ++i) {
    std::string temporary = prefix + std::to_string(i) + ".tmp";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return std::unique_ptr<AtomicFile>(new AtomicFile(path, std::move(temporary), fd));
    if (errno != EEXIST) return Status(code_of(errno), path + ": cannot create: " + std::strerror(errno));
  }
  return internal(path + ": cannot create: too many temporary files in its folder");
}

AtomicFile::AtomicFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {
  buffer_.reserve(kBufferBytes);
}

AtomicFile::~AtomicFile() {
  close();
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  MLXR_CHECK(fd_ >= 0, "the file is committed");
  size_bytes_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) MLXR_RETURN_IF_ERROR(flush());
  if (bytes.size() >= kBufferBytes) return write_through(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Status AtomicFile::write(std::string_view text) {
  return write(std::span(reinterpret_cast<const std::byte*>(text.data()), text.size()));
}

Status AtomicFile::sync() {
  MLXR_RETURN_IF_ERROR(flush());
  if (::fsync(fd_) != 0) return system_error("write", errno);
  return {};
}

Status AtomicFile::commit() {
  MLXR_RETURN_IF_ERROR(sync());
  close();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return system_error("replace", errno);
  temporary_.clear();
  // The new name itself has to reach the disk. Some file systems cannot sync a folder; the rename stands even so.
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

Status AtomicFile::flush() {
  MLXR_RETURN_IF_ERROR(write_through(buffer_));
  buffer_.clear();
  return {};
}

Status AtomicFile::write_through(std::span<const std::byte> bytes) {
  // One call writes at most 2 GiB on Linux and less on macOS.
  constexpr std::size_t kMaxCallBytes = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), kMaxCallBytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status AtomicFile::system_error(const char* action, int error) const {
  return {code_of(error), path_ + ": cannot " + action + ": " + std::strerror(error)};
}

void AtomicFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Status write_file_atomically(const std::string& path, std::string_view text) {
  MLXR_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(path));
  MLXR_RETURN_IF_ERROR(file->write(text));
  return file->commit();
}

}  // namespace mlxr
