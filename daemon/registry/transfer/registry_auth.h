#pragma once
// How Ollama's registries let somebody in: a 401 names a token service, a request signed with the user's key gets a
// token from it, and the token goes with further requests. Source of the protocol: Docker's token authentication
// (distribution.github.io, "Token Authentication Specification") with Ollama's signature instead of a password.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/transfer/credentials.h"
#include "daemon/registry/transfer/ed25519.h"
#include "daemon/registry/transfer/http_client.h"

namespace mlxr {

struct BearerChallenge {
  std::string realm;
  std::string service = {};
  std::vector<std::string> scopes = {};
};
// Of a WWW-Authenticate header; nullopt when it asks for something else than a bearer token.
std::optional<BearerChallenge> parse_bearer_challenge(std::string_view header);

// The tokens of this process, by registry and repository. Any thread.
class TokenCache {
 public:
  std::string find(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(key);
    return found == tokens_.end() ? std::string() : found->second;
  }
  void set(const std::string& key, const std::string& authorization) {
    const std::lock_guard lock(mutex_);
    tokens_[key] = authorization;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> tokens_;
};

// An Authorization header's value for what `challenge` asks. The realm must be on the registry's own host: the
// signature says who somebody is. `key_path` may be empty or not exist: then the request is anonymous. kInvalidArgument
// when the service refuses or the realm is elsewhere.
struct TokenRequest {
  const HttpClient& http;
  const BearerChallenge& challenge;
  std::string registry_url;
  std::string key_path;
  std::string basic = {};  // "Basic ...": credentials to show instead of a signature
};
Result<std::string> fetch_token(const TokenRequest& request, const CancelToken& cancel);

}  // namespace mlxr
