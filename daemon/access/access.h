#pragma once
// Who a request comes from and what it may do. Every dialect stands behind Authenticator::check().
//
//   the Unix socket   whoever may open it is the local user, who may do everything (unless the settings ask for a key)
//   capability token  a file of mode 0600 in the config folder: who can read it may do everything
//   API keys          "mlxr_sk_...", named, each with scopes, models, rates, quotas and an end; only hashes are kept
//
// Tokens and keys are compared as SHA-256 of 32 random bytes, in constant time; none is ever in a log, a message or a
// Caller. Clocks are passed in. Threads: all calls from any thread.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/secret.h"
#include "core/base/status.h"
#include "daemon/access/key_store.h"

namespace mlxr {

enum class Scope : std::uint8_t { kInference, kModelsRead, kModelsWrite, kMetrics, kAdmin };
// "inference", "models:read", "models:write", "metrics", "admin".
std::string_view scope_name(Scope scope);
// kInvalidArgument lists those there are.
Result<Scope> parse_scope(std::string_view name);

class Scopes {
 public:
  Scopes() = default;
  Scopes(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes)
      add(scope);
  }
  static Scopes all();
  void add(Scope scope) { bits_ |= bit(scope); }
  // Who may administrate may do everything.
  bool has(Scope scope) const { return (bits_ & (bit(scope) | bit(Scope::kAdmin))) != 0; }
  bool operator==(const Scopes&) const = default;

 private:
  static std::uint32_t bit(Scope scope) { return std::uint32_t{1} << static_cast<unsigned>(scope); }
  std::uint32_t bits_ = 0;
};

// Plain data; kept in Request::caller.
struct Caller {
  enum class Kind : std::uint8_t { kLocal, kToken, kKey, kAnonymous };
  Kind kind = Kind::kAnonymous;
  std::string key_id = {};  // of kKey: "key_..."; else empty
  std::string name = {};    // "local", "token", "anonymous" or the key's name: for logs and metrics
  Scopes scopes = {};
  std::vector<std::string> models = {};  // globs; empty: all
  std::string fairness_key = {};         // shares are between these: the name
  // Prefixes are shared by requests with one salt alone. Not to be guessed, the same after a restart.
  std::string cache_salt = {};

  bool may(Scope scope) const { return scopes.has(scope); }
  bool may_use(std::string_view model) const;
};

// A model's name against a pattern: * stands for any characters, ? for one; without regard to case; "x" is "x:latest".
bool model_matches(std::string_view pattern, std::string_view model);

struct Denial {
  enum class Reason : std::uint8_t { kNoKey, kBadKey, kExpired, kScope, kModel, kRate, kQuota };
  Reason reason = Reason::kNoKey;
  int http_status = 401;  // 401, 403 or 429
  std::string message = {};
  std::optional<std::chrono::seconds> retry_after = {};  // of 429: the Retry-After field
};
std::string_view denial_reason_name(Denial::Reason reason);  // "no_key", as metrics call it

using AccessDecision = std::variant<Caller, Denial>;

// Where a request says who it is.
struct Credentials {
  std::string_view authorization = {};  // the field: "Bearer ..."; empty: none
  std::string_view api_key = {};        // x-api-key (Anthropic); counts where there is no authorization
  bool local_socket = false;
};

using WallTime = std::chrono::system_clock::time_point;

struct NewKey {
  std::string name;
  std::vector<std::string> scopes = {"inference", "models:read"};
  std::vector<std::string> models = {};
  std::int64_t requests_per_minute = 0;  // 0: no limit, like the others
  std::int64_t tokens_per_minute = 0;
  std::int64_t tokens_per_day = 0;  // UTC
  std::int64_t tokens_per_month = 0;
  double weight = 1.0;
  std::optional<WallTime> expires = {};
};

struct CreatedKey {
  StoredKey stored;
  Secret key;  // shown once; not kept
};

class Authenticator {
 public:
  struct Options {
    bool local_requires_key = false;
    bool tcp_requires_key = true;
    Secret capability_token = {};  // empty: none
    Secret server_secret = {};     // from which salts are derived; at least 32 bytes
  };
  // Reads all keys. `keys` must outlive it.
  static Result<std::unique_ptr<Authenticator>> open(KeyStore& keys, Options options,
                                                     WallTime now = std::chrono::system_clock::now());
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // Who it is, and whether it may do this now. With Scope::kInference a request is counted for the key's rate, and the
  // key's quotas must leave something. The model is checked by check_model(), once it is known.
  AccessDecision check(const Credentials& credentials, std::optional<Scope> scope, WallTime now);
  // 403 with the model's name.
  static std::optional<Denial> check_model(const Caller& caller, std::string_view model);
  // After an answer: what it used, for rates, quotas and the ledger.
  Status charge(const Caller& caller, std::string_view model, const TokenUse& use, WallTime now);

  // After a reload of the settings.
  void set_requirements(bool local_requires_key, bool tcp_requires_key);

  // --- keys: for admins. All may wait for the disk -------------------------------------------------------------------

  // kInvalidArgument names the field: a name that is taken or odd, a scope that there is not, a negative limit.
  Result<CreatedKey> create_key(const NewKey& key, WallTime now);
  // By id or name. kNotFound. Holds from the next request on; for good.
  Status revoke_key(std::string_view id_or_name, WallTime now);
  Status remove_key(std::string_view id_or_name);
  std::vector<StoredKey> keys() const;  // by creation
  // Weights of keys that have one, by fairness key: for SchedulerOptions::caller_weights.
  std::map<std::string, double, std::less<>> weights() const;

 private:
  class Impl;
  explicit Authenticator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlxr
