#include "daemon/registry/digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/kv/block_hash.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

constexpr std::string_view kAlgorithm = "sha256";
constexpr std::size_t kNumDigits = 64;
constexpr std::size_t kDigitsOffset = kAlgorithm.size() + 1;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

}  // namespace

Result<std::string> parse_digest(std::string_view text) {
  std::string digest;
  if (text.size() == kDigitsOffset + kNumDigits && text.starts_with(kAlgorithm) &&
      (text[kAlgorithm.size()] == ':' || text[kAlgorithm.size()] == '-')) {
    digest = text;
    std::transform(digest.begin(), digest.end(), digest.begin(), lower);
    digest[kAlgorithm.size()] = ':';
    if (std::all_of(digest.begin() + kDigitsOffset, digest.end(), is_hex_digit)) return digest;
  }
  return invalid_argument(fmt::format("invalid digest format \"{}\"", visible_text(text, 100)));
}

std::string digest_of(std::string_view bytes) {
  Sha256 sha;
  sha.update(std::as_bytes(std::span(bytes)));
  return "sha256:" + sha.finish().hex();
}

Result<std::string> digest_of_file(const std::string& path, const std::function<bool(std::uint64_t)>& progress) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const StatusCode code = errno == ENOENT || errno == ENOTDIR ? StatusCode::kNotFound : StatusCode::kInternal;
    return Status(code, path + ": cannot open: " + std::strerror(errno));
  }
  Sha256 sha;
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t done = 0;
  Status status;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = internal(path + ": cannot read: " + std::strerror(errno));
    if (got <= 0) break;
    sha.update(std::span(buffer).first(static_cast<std::size_t>(got)));
    done += static_cast<std::uint64_t>(got);
    if (progress && !progress(done)) {
      status = cancelled(path + ": reading was cancelled");
      break;
    }
  }
  ::close(fd);
  if (!status.ok()) return status;
  return "sha256:" + sha.finish().hex();
}

std::string blob_file_name(std::string_view digest) {
  MLXR_CHECK(digest.size() == kDigitsOffset + kNumDigits && digest.starts_with("sha256:"), "not a digest");
  std::string name(digest);
  name[kAlgorithm.size()] = '-';
  return name;
}

std::string short_digest(std::string_view digest) {
  return std::string(digest.substr(std::min(digest.size(), kDigitsOffset), 12));
}

}  // namespace mlxr
