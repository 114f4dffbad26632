#include "daemon/http/upload_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/core.h>

namespace mlxr::http {
namespace {

Status system_error(const std::string& path, std::string_view what, int error) {
  std::string text = fmt::format("{}: {}: {}", path, what, std::strerror(error));
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return full ? resource_exhausted(std::move(text)) : internal(std::move(text));
}

}  // namespace

Result<UploadFile> UploadFile::create(const std::string& folder) {
  const char* system = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  const std::string parent = !folder.empty() ? folder : system != nullptr && *system != '\0' ? system : "/tmp";
  std::string path = parent + "/mlxr-upload-XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return system_error(parent, "cannot make a file for the body", errno);
  return UploadFile(std::move(path), fd);
}

UploadFile::UploadFile(UploadFile&& other) noexcept
    : path_(std::exchange(other.path_, "")), fd_(std::exchange(other.fd_, -1)) {}

UploadFile::~UploadFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

Status UploadFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error(path_, "cannot write", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status UploadFile::close() {
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) return system_error(path_, "cannot close", errno);
  return {};
}

std::string UploadFile::keep() {
  return std::exchange(path_, "");
}

}  // namespace mlxr::http
