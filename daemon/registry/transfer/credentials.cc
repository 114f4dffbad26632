#include "daemon/registry/transfer/credentials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "daemon/registry/transfer/base64.h"

namespace mlxr {
namespace {

using Tokens = std::map<std::string, std::string>;

constexpr std::size_t kMaxFileBytes = 1 << 20;

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Status file_error(const std::string& path) {
  return internal(fmt::format("{}: {}", path, std::strerror(errno)));
}

Result<std::string> private_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    if (errno == ENOENT) return std::string();
    return file_error(path);
  }
  struct stat info = {};
  if (::fstat(file.fd, &info) != 0) return file_error(path);
  if ((info.st_mode & 077) != 0) {
    return invalid_argument(fmt::format("{} holds secrets and can be read by others: chmod 600 it", path));
  }
  std::string text(kMaxFileBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.fd, text.data() + size, text.size() - size);
    if (got < 0) return file_error(path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxFileBytes) return corrupt(fmt::format("{}: too long", path));
  text.resize(size);
  return text;
}

Result<Tokens> read_tokens(const std::string& path) {
  Tokens tokens;
  if (path.empty()) return tokens;
  MLXR_ASSIGN_OR_RETURN(const std::string text, private_file(path));
  if (text.empty()) return tokens;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("tokens") || !json["tokens"].is_object()) {
    return corrupt(fmt::format("{}: no object with \"tokens\"", path));
  }
  for (const auto& [host, token] : json["tokens"].items()) {
    if (!token.is_string()) return corrupt(fmt::format("{}: tokens.{} is no string", path, host));
    tokens[host] = token.get<std::string>();
  }
  return tokens;
}

// In a file that was never readable by others, renamed over the old one.
Status write_tokens(const std::string& path, const Tokens& tokens) {
  if (path.empty()) return invalid_argument("no file to keep tokens in");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder)) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return internal(fmt::format("{}: {}", folder.string(), error.message()));
    ::chmod(folder.c_str(), 0700);
  }
  std::string text;
  try {
    text = nlohmann::json{{"version", 1}, {"tokens", tokens}}.dump(2) + "\n";
  } catch (const nlohmann::json::exception&) {
    return invalid_argument("a host or a token is not valid UTF-8");
  }
  const std::string temporary = fmt::format("{}.{}", path, ::getpid());
  ::unlink(temporary.c_str());
  {
    const Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (file.fd < 0) return file_error(temporary);
    if (::write(file.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.fd) != 0) {
      const Status status = file_error(temporary);
      ::unlink(temporary.c_str());
      return status;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const Status status = file_error(path);
    ::unlink(temporary.c_str());
    return status;
  }
  return {};
}

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

}  // namespace

Result<std::optional<std::string>> CredentialStore::token(const std::string& host) const {
  MLXR_ASSIGN_OR_RETURN(const Tokens tokens, read_tokens(path_));
  const auto found = tokens.find(host);
  if (found == tokens.end() || has_control_characters(found->second)) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Result<std::vector<std::string>> CredentialStore::hosts() const {
  MLXR_ASSIGN_OR_RETURN(const Tokens tokens, read_tokens(path_));
  std::vector<std::string> hosts;
  for (const auto& [host, token] : tokens)
    hosts.push_back(host);
  return hosts;
}

Status CredentialStore::set(const std::string& host, const std::string& token) const {
  if (host.empty() || token.empty() || has_control_characters(host) || has_control_characters(token)) {
    return invalid_argument("a host and a token are needed, without control characters");
  }
  MLXR_ASSIGN_OR_RETURN(Tokens tokens, read_tokens(path_));
  tokens[host] = token;
  return write_tokens(path_, tokens);
}

Status CredentialStore::remove(const std::string& host) const {
  MLXR_ASSIGN_OR_RETURN(Tokens tokens, read_tokens(path_));
  if (tokens.erase(host) == 0) return not_found(fmt::format("not logged in at {}", host));
  return write_tokens(path_, tokens);
}

std::string authorization_of_token(const std::string& token) {
  return token.find(':') == std::string::npos ? "Bearer " + token : "Basic " + base64_encode(token);
}

}  // namespace mlxr
