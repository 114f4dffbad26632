#include <algorithm>
#include <cctype>
#include <unordered_map>

#include <fmt/core.h>

#include "daemon/access/access.h"
#include "daemon/access/digest.h"
#include "daemon/access/rate_limit.h"

namespace mlxr {
namespace {

using Reason = Denial::Reason;

constexpr std::string_view kKeyPrefix = "mlxr_sk_";
constexpr std::string_view kOurs = "mlxr_";
constexpr std::size_t kMaxCredentialBytes = 4096;
constexpr std::int64_t kMaxLimit = std::int64_t{1} << 50;
constexpr std::int64_t kTouchSeconds = 60;
// A digest that nothing has, so that a wrong key costs a comparison like a right one.
const std::string kNoHash(64, '-');

std::int64_t seconds_of(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::int64_t day_of(WallTime time) {
  return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
}

std::int64_t first_day_of_month(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return std::chrono::sys_days(date.year() / date.month() / 1).time_since_epoch().count();
}

std::int64_t first_day_of_next_month(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return std::chrono::sys_days((date.year() / date.month() + std::chrono::months(1)) / 1).time_since_epoch().count();
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// The token of a request; empty: none.
std::string_view token_of(const Credentials& credentials) {
  const std::string_view field = trim(credentials.authorization);
  if (field.empty()) return trim(credentials.api_key);
  const std::size_t space = std::min(field.find(' '), field.size());
  constexpr std::string_view kBearer = "bearer";
  const bool bearer =
      std::equal(field.begin(), field.begin() + static_cast<std::ptrdiff_t>(space), kBearer.begin(), kBearer.end(),
                 [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  // Another scheme: whatever follows is no key of ours, and is refused as such.
  return bearer ? trim(field.substr(space)) : field;
}

Denial deny(Reason reason, int status, std::string message) {
  return {reason, status, std::move(message), std::nullopt};
}

Denial deny_until(Reason reason, std::string message, std::chrono::seconds retry_after) {
  return {reason, 429, std::move(message), retry_after};
}

struct Entry {
  StoredKey key;
  Scopes scopes;
  std::string salt;
  TokenBucket requests;
  TokenBucket tokens;
  std::int64_t day = 0;    // of used_today
  std::int64_t month = 0;  // first day of that of used_month
  std::int64_t used_today = 0;
  std::int64_t used_month = 0;
  std::int64_t stored_last_used = 0;

  // A new day, a new month.
  void roll(std::int64_t today) {
    if (today != day) used_today = 0;
    day = today;
    const std::int64_t first = first_day_of_month(today);
    if (first != month) used_month = 0;
    month = first;
  }
};

Status check_name(const std::string& name) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), fits)) {
    return invalid_argument("name: must be 1 to 64 letters, digits, dots, dashes and underscores");
  }
  if (name == "local" || name == "token" || name == "anonymous" || name.starts_with("key_")) {
    return invalid_argument(fmt::format("name: \"{}\" has a meaning of its own", name));
  }
  return {};
}

Status check_new_key(const NewKey& key) {
  MLXR_RETURN_IF_ERROR(check_name(key.name));
  if (key.scopes.empty()) return invalid_argument("scopes: there must be one");
  for (const std::string& scope : key.scopes) {
    const Result<Scope> parsed = parse_scope(scope);
    if (!parsed.ok()) return parsed.status().with_context("scopes");
  }
  if (key.models.size() > 1024) return invalid_argument("models: there are more than 1024");
  for (const std::string& model : key.models) {
    if (model.empty() || model.size() > 512) return invalid_argument("models: a pattern must have 1 to 512 characters");
  }
  const std::pair<const char*, std::int64_t> limits[] = {{"requests_per_minute", key.requests_per_minute},
                                                         {"tokens_per_minute", key.tokens_per_minute},
                                                         {"tokens_per_day", key.tokens_per_day},
                                                         {"tokens_per_month", key.tokens_per_month}};
  for (const auto& [name, limit] : limits) {
    if (limit < 0 || limit > kMaxLimit) return invalid_argument(fmt::format("{}: {} is out of range", name, limit));
  }
  // As the scheduler takes them.
  if (!(key.weight >= 1e-3 && key.weight <= 1e3)) {
    return invalid_argument(fmt::format("weight: {} is not between 0.001 and 1000", key.weight));
  }
  return {};
}

}  // namespace

class Authenticator::Impl {
 public:
  Impl(KeyStore& store, Options options)
      : store_(store),
        token_hash_(options.capability_token.empty() ? kNoHash
                                                     : access_detail::sha256_hex(options.capability_token.reveal())),
        secret_(std::move(options.server_secret)),
        local_requires_key_(options.local_requires_key),
        tcp_requires_key_(options.tcp_requires_key) {}

  ~Impl() {
    for (const std::shared_ptr<Entry>& entry : order_) {
      // Only for show; what cannot be written now is lost.
      if (entry->key.last_used.value_or(0) > entry->stored_last_used) static_cast<void>(store_.update(entry->key));
    }
  }

  Status load(WallTime now) {
    MLXR_ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, store_.list());
    const std::int64_t today = day_of(now);
    for (const StoredKey& key : keys) {
      MLXR_ASSIGN_OR_RETURN(const std::shared_ptr<Entry> entry, make_entry(key));
      MLXR_ASSIGN_OR_RETURN(entry->used_today, store_.tokens_used(key.id, today, today));
      MLXR_ASSIGN_OR_RETURN(entry->used_month, store_.tokens_used(key.id, first_day_of_month(today), today));
      entry->day = today;
      entry->month = first_day_of_month(today);
      add(entry);
    }
    return {};
  }

  AccessDecision check(const Credentials& credentials, std::optional<Scope> scope, WallTime now) {
    const std::string_view token = token_of(credentials);
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool required = credentials.local_socket ? local_requires_key_ : tcp_requires_key_;
    Caller caller;
    std::shared_ptr<Entry> entry;
    if (!token.empty()) {
      const std::string hash = token.size() > kMaxCredentialBytes ? kNoHash : access_detail::sha256_hex(token);
      const auto found = by_hash_.find(hash);
      const bool is_key = equal_in_constant_time(found != by_hash_.end() ? found->second->key.hash : kNoHash, hash);
      const bool is_token = equal_in_constant_time(token_hash_, hash);
      const bool none = hash == kNoHash;
      if (is_token && !none) {
        caller = local_caller(Caller::Kind::kToken);
      } else if (is_key && !none) {
        entry = found->second;
        if (const std::optional<Denial> ended = check_life(*entry, now)) return *ended;
        caller = key_caller(*entry);
      } else if (required || token.starts_with(kOurs)) {
        return deny(Reason::kBadKey, 401, "the API key is not one of this server's");
      }
      // Where no key is needed, clients that always send something ("ollama", "none") are those who sent nothing.
    }
    if (caller.name.empty()) {
      if (required) return deny(Reason::kNoKey, 401, "an API key is needed: Authorization: Bearer mlxr_sk_...");
      caller = credentials.local_socket ? local_caller(Caller::Kind::kLocal) : anonymous_caller();
    }
    if (scope && !caller.may(*scope)) {
      return deny(Reason::kScope, 403,
                  fmt::format("\"{}\" may not do this: it takes the scope {}", caller.name, scope_name(*scope)));
    }
    if (entry != nullptr) {
      entry->key.last_used = seconds_of(now);
      if (scope == Scope::kInference) {
        if (std::optional<Denial> full = admit(*entry, now)) return *full;
      }
    }
    return caller;
  }

  Status charge(const Caller& caller, std::string_view model, const TokenUse& use, WallTime now) {
    std::optional<StoredKey> touched;
    if (caller.kind == Caller::Kind::kKey) {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = by_id_.find(caller.key_id);
      if (found != by_id_.end()) {
        Entry& entry = *found->second;
        entry.roll(day_of(now));
        entry.used_today += use.total();
        entry.used_month += use.total();
        entry.tokens.take(static_cast<double>(use.total()), now);
        const std::int64_t last = entry.key.last_used.value_or(0);
        if (last >= entry.stored_last_used + kTouchSeconds) {
          entry.stored_last_used = last;
          touched = entry.key;
        }
      }
    }
    if (touched) MLXR_RETURN_IF_ERROR(store_.update(*touched));
    return store_.add_use(caller.key_id, std::string(model), day_of(now), use);
  }

  void set_requirements(bool local_requires_key, bool tcp_requires_key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    local_requires_key_ = local_requires_key;
    tcp_requires_key_ = tcp_requires_key;
  }

  Result<CreatedKey> create(const NewKey& wanted, WallTime now) {
    MLXR_RETURN_IF_ERROR(check_new_key(wanted));
    if (wanted.expires && *wanted.expires <= now) return invalid_argument("expires: is in the past");
    std::string text(kKeyPrefix);
    text += access_detail::random_text(32).reveal();
    CreatedKey created{{}, Secret(text)};
    StoredKey& key = created.stored;
    key.id = "key_" + access_detail::random_hex(8);
    key.name = wanted.name;
    key.hash = access_detail::sha256_hex(text);
    key.prefix = text.substr(0, kKeyPrefix.size() + 4);
    key.scopes = wanted.scopes;
    key.models = wanted.models;
    key.requests_per_minute = wanted.requests_per_minute;
    key.tokens_per_minute = wanted.tokens_per_minute;
    key.tokens_per_day = wanted.tokens_per_day;
    key.tokens_per_month = wanted.tokens_per_month;
    key.weight = wanted.weight;
    key.created = seconds_of(now);
    if (wanted.expires) key.expires = seconds_of(*wanted.expires);

    const std::lock_guard<std::mutex> changes(changes_mutex_);
    if (find(key.name) != nullptr)
      return invalid_argument(fmt::format("name: there is a key \"{}\" already", key.name));
    MLXR_ASSIGN_OR_RETURN(const std::shared_ptr<Entry> entry, make_entry(key));
    MLXR_RETURN_IF_ERROR(store_.insert(key));
    const std::lock_guard<std::mutex> lock(mutex_);
    add(entry);
    return created;
  }

  Status revoke(std::string_view id_or_name, WallTime now) {
    const std::lock_guard<std::mutex> changes(changes_mutex_);
    const std::shared_ptr<Entry> entry = find(id_or_name);
    if (entry == nullptr) return no_key(id_or_name);
    StoredKey key;
    {
      // At once, whatever the disk says.
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!entry->key.revoked) entry->key.revoked = seconds_of(now);
      key = entry->key;
    }
    return store_.update(key);
  }

  Status remove(std::string_view id_or_name) {
    const std::lock_guard<std::mutex> changes(changes_mutex_);
    const std::shared_ptr<Entry> entry = find(id_or_name);
    if (entry == nullptr) return no_key(id_or_name);
    MLXR_RETURN_IF_ERROR(store_.remove(entry->key.id));
    const std::lock_guard<std::mutex> lock(mutex_);
    by_hash_.erase(entry->key.hash);
    by_id_.erase(entry->key.id);
    order_.erase(std::find(order_.begin(), order_.end(), entry));
    return {};
  }

  std::vector<StoredKey> keys() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<StoredKey> keys;
    for (const std::shared_ptr<Entry>& entry : order_)
      keys.push_back(entry->key);
    return keys;
  }

 private:
  static Status no_key(std::string_view id_or_name) {
    return not_found(fmt::format("there is no key \"{}\"", id_or_name.substr(0, 64)));
  }

  std::string salt_of(std::string_view who) const {
    return access_detail::hmac_hex(secret_.reveal(), "prefix cache of " + std::string(who)).substr(0, 32);
  }

  // Who may open the socket may read the token's file: both are the same user.
  Caller local_caller(Caller::Kind kind) const {
    Caller caller;
    caller.kind = kind;
    caller.name = kind == Caller::Kind::kLocal ? "local" : "token";
    caller.scopes = Scopes::all();
    caller.fairness_key = "local";
    caller.cache_salt = salt_of("local");
    return caller;
  }

  Caller anonymous_caller() const {
    Caller caller;
    caller.kind = Caller::Kind::kAnonymous;
    caller.name = "anonymous";
    caller.scopes = {Scope::kInference, Scope::kModelsRead};
    caller.fairness_key = "anonymous";
    caller.cache_salt = salt_of("anonymous");
    return caller;
  }

  static Caller key_caller(const Entry& entry) {
    Caller caller;
    caller.kind = Caller::Kind::kKey;
    caller.key_id = entry.key.id;
    caller.name = entry.key.name;
    caller.scopes = entry.scopes;
    caller.models = entry.key.models;
    caller.fairness_key = entry.key.name;
    caller.cache_salt = entry.salt;
    return caller;
  }

  static std::optional<Denial> check_life(const Entry& entry, WallTime now) {
    if (entry.key.revoked) {
      return deny(Reason::kExpired, 401, fmt::format("the API key \"{}\" was revoked", entry.key.name));
    }
    if (entry.key.expires && seconds_of(now) >= *entry.key.expires) {
      return deny(Reason::kExpired, 401, fmt::format("the API key \"{}\" has expired", entry.key.name));
    }
    return std::nullopt;
  }

  // The request is counted when nothing speaks against it.
  static std::optional<Denial> admit(Entry& entry, WallTime now) {
    const StoredKey& key = entry.key;
    const std::int64_t today = day_of(now);
    entry.roll(today);
    const auto until_day = [&](std::int64_t day) {
      return std::max(std::chrono::seconds(1), std::chrono::seconds(day * 86400 - seconds_of(now)));
    };
    if (key.tokens_per_day > 0 && entry.used_today >= key.tokens_per_day) {
      return deny_until(Reason::kQuota,
                        fmt::format("the API key \"{}\" has used its {} tokens of today", key.name, key.tokens_per_day),
                        until_day(today + 1));
    }
    if (key.tokens_per_month > 0 && entry.used_month >= key.tokens_per_month) {
      return deny_until(
          Reason::kQuota,
          fmt::format("the API key \"{}\" has used its {} tokens of this month", key.name, key.tokens_per_month),
          until_day(first_day_of_next_month(today)));
    }
    if (const auto wait = entry.tokens.wait_for(1.0, now); wait.count() > 0) {
      return deny_until(Reason::kRate,
                        fmt::format("the API key \"{}\" may use {} tokens a minute; try again in {} s", key.name,
                                    key.tokens_per_minute, wait.count()),
                        wait);
    }
    if (const auto wait = entry.requests.wait_for(1.0, now); wait.count() > 0) {
      return deny_until(Reason::kRate,
                        fmt::format("the API key \"{}\" may make {} requests a minute; try again in {} s", key.name,
                                    key.requests_per_minute, wait.count()),
                        wait);
    }
    entry.requests.take(1.0, now);
    return std::nullopt;
  }

  Result<std::shared_ptr<Entry>> make_entry(const StoredKey& key) const {
    auto entry = std::make_shared<Entry>();
    entry->key = key;
    for (const std::string& name : key.scopes) {
      const Result<Scope> scope = parse_scope(name);
      // A scope of a later version gives nothing here.
      if (scope.ok()) entry->scopes.add(*scope);
    }
    entry->salt = salt_of(key.id);
    entry->requests = TokenBucket(key.requests_per_minute);
    entry->tokens = TokenBucket(key.tokens_per_minute);
    entry->stored_last_used = key.last_used.value_or(0);
    return entry;
  }

  void add(const std::shared_ptr<Entry>& entry) {
    by_hash_[entry->key.hash] = entry;
    by_id_[entry->key.id] = entry;
    order_.push_back(entry);
  }

  std::shared_ptr<Entry> find(std::string_view id_or_name) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const std::shared_ptr<Entry>& entry : order_) {
      if (entry->key.id == id_or_name || entry->key.name == id_or_name) return entry;
    }
    return nullptr;
  }

  KeyStore& store_;
  const std::string token_hash_;
  const Secret secret_;
  std::mutex changes_mutex_;  // one change of keys at a time; taken before mutex_
  mutable std::mutex mutex_;  // guards what follows
  bool local_requires_key_;
  bool tcp_requires_key_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> by_hash_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> by_id_;
  std::vector<std::shared_ptr<Entry>> order_;  // by creation
};

Authenticator::Authenticator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Authenticator::~Authenticator() = default;

Result<std::unique_ptr<Authenticator>> Authenticator::open(KeyStore& keys, Options options, WallTime now) {
  if (options.server_secret.reveal().size() < 32)
    return invalid_argument("the server's secret is shorter than 32 bytes");
  auto impl = std::make_unique<Impl>(keys, std::move(options));
  MLXR_RETURN_IF_ERROR(impl->load(now));
  return std::unique_ptr<Authenticator>(new Authenticator(std::move(impl)));
}

AccessDecision Authenticator::check(const Credentials& credentials, std::optional<Scope> scope, WallTime now) {
  return impl_->check(credentials, scope, now);
}

std::optional<Denial> Authenticator::check_model(const Caller& caller, std::string_view model) {
  if (caller.may_use(model)) return std::nullopt;
  return deny(Reason::kModel, 403,
              fmt::format("\"{}\" may not use the model \"{}\"", caller.name, model.substr(0, 200)));
}

Status Authenticator::charge(const Caller& caller, std::string_view model, const TokenUse& use, WallTime now) {
  return impl_->charge(caller, model, use, now);
}

void Authenticator::set_requirements(bool local_requires_key, bool tcp_requires_key) {
  impl_->set_requirements(local_requires_key, tcp_requires_key);
}

Result<CreatedKey> Authenticator::create_key(const NewKey& key, WallTime now) {
  return impl_->create(key, now);
}

Status Authenticator::revoke_key(std::string_view id_or_name, WallTime now) {
  return impl_->revoke(id_or_name, now);
}

Status Authenticator::remove_key(std::string_view id_or_name) {
  return impl_->remove(id_or_name);
}

std::vector<StoredKey> Authenticator::keys() const {
  return impl_->keys();
}

std::map<std::string, double, std::less<>> Authenticator::weights() const {
  std::map<std::string, double, std::less<>> weights;
  for (const StoredKey& key : impl_->keys()) {
    if (key.weight != 1.0) weights[key.name] = key.weight;
  }
  return weights;
}

}  // namespace mlxr
