#include "daemon/access/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/core.h>

#include "daemon/access/digest.h"

namespace mlxr {
namespace {

constexpr std::string_view kTokenPrefix = "mlxr_token_";
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMinLetters = 43;  // of 32 bytes

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status system_error(const std::string& path, const char* action) {
  return internal(fmt::format("{}: cannot {}: {}", path, action, std::strerror(errno)));
}

Result<Secret> read_secret(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return not_found(path + ": does not exist");
    return system_error(path, "open");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(path, "be looked at");
  if (!S_ISREG(info.st_mode)) return invalid_argument(path + ": is not a file");
  if (info.st_uid != ::geteuid()) return invalid_argument(path + ": belongs to another user");
  if ((info.st_mode & 077) != 0) {
    return invalid_argument(
        fmt::format("{}: may be read by others (mode {:04o}); chmod 600 it if nobody has, else remove it", path,
                    static_cast<unsigned>(info.st_mode & 07777)));
  }
  char buffer[512];
  std::size_t length = 0;
  ssize_t got = 0;
  while (length < sizeof buffer && (got = ::read(file.get(), buffer + length, sizeof buffer - length)) > 0)
    length += static_cast<std::size_t>(got);
  if (got < 0) return system_error(path, "read");
  while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
    --length;
  Secret secret(std::string(buffer, length));
  std::memset(buffer, 0, sizeof buffer);
  for (const char c : secret.reveal()) {
    if (c <= ' ' || static_cast<unsigned char>(c) >= 0x7F)
      return corrupt(path + ": does not hold one line of a secret");
  }
  return secret;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// The file appears whole and only when there is none: of two processes that start at once, one wins.
Status make_secret(const std::string& path, const Secret& secret) {
  const std::string temporary = fmt::format("{}.{}", path, access_detail::random_hex(8));
  {
    const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return system_error(temporary, "create");
    const bool written = ::fchmod(file.get(), 0600) == 0 && write_all(file.get(), secret.reveal()) &&
                         write_all(file.get(), "\n") && ::fsync(file.get()) == 0;
    if (!written) {
      const Status failed = system_error(temporary, "write");
      ::unlink(temporary.c_str());
      return failed;
    }
  }
  const bool linked = ::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST;
  const Status status = linked ? Status() : system_error(path, "create");
  ::unlink(temporary.c_str());
  return status;
}

Status make_folder(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return {};
  std::filesystem::create_directories(folder, error);
  if (!error) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  if (error) return internal(fmt::format("{}: cannot be made: {}", folder, error.message()));
  return {};
}

Result<Secret> open_secret(const std::string& folder, const std::string& name, std::string_view prefix) {
  const std::string path = folder + "/" + name;
  Result<Secret> secret = read_secret(path);
  if (!secret.ok() && secret.status().code() == StatusCode::kNotFound) {
    MLXR_RETURN_IF_ERROR(make_folder(folder));
    std::string text(prefix);
    text += access_detail::random_text(kSecretBytes).reveal();
    MLXR_RETURN_IF_ERROR(make_secret(path, Secret(std::move(text))));
    secret = read_secret(path);
  }
  if (!secret.ok()) return secret;
  if (!secret->reveal().starts_with(prefix) || secret->reveal().size() < prefix.size() + kMinLetters) {
    return corrupt(path + ": does not hold a secret of this program; remove it to have a new one made");
  }
  return secret;
}

}  // namespace

Result<Secret> open_capability_token(const std::string& folder) {
  return open_secret(folder, "token", kTokenPrefix);
}

Result<Secret> read_capability_token(const std::string& folder) {
  return read_secret(folder + "/token");
}

Result<Secret> open_server_secret(const std::string& folder) {
  return open_secret(folder, "secret", "");
}

}  // namespace mlxr
