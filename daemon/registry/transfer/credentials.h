#pragma once
// Tokens by host, as `mlxr login` keeps them: one JSON file that only its owner may read. A value; any thread, one
// process at a time writes.
//
// A token of the form "user:password" is used as HTTP basic credentials, any other as a bearer token. Tokens appear in
// no message.

#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

class CredentialStore {
 public:
  // `path` need not exist. Empty: no tokens, and none can be kept.
  explicit CredentialStore(std::string path) : path_(std::move(path)) {}

  // kInvalidArgument when others may read the file (the line says what to do), kCorrupt when it is broken.
  Result<std::optional<std::string>> token(const std::string& host) const;
  Result<std::vector<std::string>> hosts() const;
  // Makes the file, and its folder, with mode 0600 (0700). kInvalidArgument for a token with control characters.
  Status set(const std::string& host, const std::string& token) const;
  Status remove(const std::string& host) const;  // kNotFound

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The value of an Authorization header.
std::string authorization_of_token(const std::string& token);

}  // namespace mlxr
