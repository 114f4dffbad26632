#include "daemon/access/access.h"

#include <atomic>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/access/digest.h"
#include "daemon/access/rate_limit.h"

namespace mlxr {
namespace {

using namespace std::chrono_literals;
using Reason = Denial::Reason;

// Keys and their use in memory.
class MemoryKeyStore : public KeyStore {
 public:
  Status insert(const StoredKey& key) override {
    keys[key.id] = key;
    return {};
  }
  Status update(const StoredKey& key) override {
    keys[key.id] = key;
    ++updates;
    return {};
  }
  Status remove(const std::string& id) override {
    keys.erase(id);
    return {};
  }
  Result<std::vector<StoredKey>> list() override {
    std::vector<StoredKey> all;
    for (const auto& [id, key] : keys)
      all.push_back(key);
    return all;
  }
  Status add_use(const std::string& key_id, const std::string& model, std::int64_t day, const TokenUse& use) override {
    uses[{key_id, day}] += use.total();
    models[model] += 1;
    return {};
  }
  Result<std::int64_t> tokens_used(const std::string& key_id, std::int64_t first_day, std::int64_t last_day) override {
    std::int64_t total = 0;
    for (const auto& [where, tokens] : uses) {
      if (where.first == key_id && where.second >= first_day && where.second <= last_day) total += tokens;
    }
    return total;
  }

  std::map<std::string, StoredKey> keys;
  std::map<std::pair<std::string, std::int64_t>, std::int64_t> uses;
  std::map<std::string, int> models;
  int updates = 0;
};

// 30 November 2026, 12:00 UTC.
const WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 30) + 12h;
constexpr const char* kToken = "mlxr_token_0123456789012345678901234567890123456789012";

struct Fixture {
  explicit Fixture(bool local_requires_key = false, bool tcp_requires_key = true) {
    open(local_requires_key, tcp_requires_key);
  }
  void open(bool local_requires_key = false, bool tcp_requires_key = true) {
    Authenticator::Options options;
    options.local_requires_key = local_requires_key;
    options.tcp_requires_key = tcp_requires_key;
    options.capability_token = Secret(kToken);
    options.server_secret = Secret("the secret of a server, which is 32 bytes or more");
    auto opened = Authenticator::open(store, std::move(options), kNow);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    access = std::move(opened).value();
  }
  std::string make_key(NewKey key) {
    const Result<CreatedKey> created = access->create_key(key, kNow);
    EXPECT_TRUE(created.ok()) << created.status().message();
    return std::string(created->key.reveal());
  }
  AccessDecision check(const std::string& key, std::optional<Scope> scope = Scope::kInference, WallTime now = kNow) {
    const std::string field = key.empty() ? "" : "Bearer " + key;
    return access->check({.authorization = field}, scope, now);
  }

  MemoryKeyStore store;
  std::unique_ptr<Authenticator> access;
};

const Caller& caller_of(const AccessDecision& decision) {
  EXPECT_TRUE(std::holds_alternative<Caller>(decision)) << std::get<Denial>(decision).message;
  return std::get<Caller>(decision);
}
const Denial& denial_of(const AccessDecision& decision) {
  EXPECT_TRUE(std::holds_alternative<Denial>(decision));
  return std::get<Denial>(decision);
}

struct WhoCase {
  const char* authorization;
  const char* api_key;
  bool local;
  bool required;
  const char* name;  // of the caller; or the reason where it begins with !
};

TEST(Access, WhoItIs) {
  const std::string bearer = std::string("Bearer ") + kToken;
  const std::string lower = std::string("bearer  ") + kToken + " ";
  const WhoCase cases[] = {
      {"", "", true, false, "local"},
      {"", "", true, true, "!no_key"},
      {"", "", false, false, "anonymous"},
      {"", "", false, true, "!no_key"},
      {bearer.c_str(), "", false, true, "token"},
      {lower.c_str(), "", false, true, "token"},
      {"", kToken, false, true, "token"},
      {bearer.c_str(), "nonsense", true, true, "token"},
      {"Bearer ollama", "", true, false, "local"},
      {"Bearer ollama", "", false, false, "anonymous"},
      {"Bearer ollama", "", false, true, "!bad_key"},
      {"Bearer mlxr_sk_wrong", "", true, false, "!bad_key"},
      {"Bearer mlxr_sk_wrong", "", false, true, "!bad_key"},
      {"Basic dXNlcjpwYXNz", "", false, true, "!bad_key"},
      {"Bearer", "", false, true, "!no_key"},
      {"Bearer ----------------------------------------------------------------", "", false, true, "!bad_key"},
  };
  for (const WhoCase& c : cases) {
    Fixture fixture(c.required, c.required);
    const AccessDecision decision = fixture.access->check(
        {.authorization = c.authorization, .api_key = c.api_key, .local_socket = c.local}, std::nullopt, kNow);
    if (c.name[0] == '!') {
      EXPECT_EQ(denial_reason_name(denial_of(decision).reason), c.name + 1) << c.authorization;
      EXPECT_EQ(denial_of(decision).http_status, 401);
      EXPECT_EQ(denial_of(decision).message.find("wrong"), std::string::npos);
    } else {
      EXPECT_EQ(caller_of(decision).name, c.name) << c.authorization;
    }
  }
}

TEST(Access, ScopesOfThoseWithoutAKey) {
  Fixture fixture(false, false);
  EXPECT_TRUE(caller_of(fixture.access->check({.local_socket = true}, Scope::kAdmin, kNow)).may(Scope::kModelsWrite));
  EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check("", Scope::kInference)));
  const AccessDecision refused = fixture.check("", Scope::kModelsWrite);
  EXPECT_EQ(denial_of(refused).http_status, 403);
  EXPECT_EQ(denial_of(refused).message, "\"anonymous\" may not do this: it takes the scope models:write");
  fixture.access->set_requirements(true, true);
  EXPECT_EQ(denial_of(fixture.access->check({.local_socket = true}, std::nullopt, kNow)).reason, Reason::kNoKey);
}

TEST(Access, KeysLiveAndEnd) {
  Fixture fixture;
  const std::string key = fixture.make_key({.name = "alice", .models = {"qwen*"}, .expires = kNow + 1h});
  EXPECT_TRUE(key.starts_with("mlxr_sk_"));
  EXPECT_GE(key.size(), 51U);
  const StoredKey stored = fixture.access->keys().at(0);
  EXPECT_EQ(stored.hash, access_detail::sha256_hex(key));
  EXPECT_EQ(stored.prefix, key.substr(0, 12));

  const Caller caller = caller_of(fixture.check(key));
  EXPECT_EQ(caller.kind, Caller::Kind::kKey);
  EXPECT_EQ(caller.key_id, stored.id);
  EXPECT_EQ(caller.fairness_key, "alice");
  EXPECT_TRUE(caller.may(Scope::kModelsRead));
  EXPECT_FALSE(caller.may(Scope::kAdmin));
  EXPECT_EQ(denial_of(fixture.check(key, Scope::kMetrics)).reason, Reason::kScope);
  EXPECT_FALSE(Authenticator::check_model(caller, "Qwen3:8b").has_value());
  EXPECT_EQ(Authenticator::check_model(caller, "llama")->message, "\"alice\" may not use the model \"llama\"");

  EXPECT_EQ(denial_of(fixture.check(key, std::nullopt, kNow + 1h)).message, "the API key \"alice\" has expired");
  // A key that is as long and differs in its last character alone.
  std::string other = key;
  other.back() = other.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(denial_of(fixture.check(other)).reason, Reason::kBadKey);

  // After a restart: the same caller.
  fixture.open();
  EXPECT_EQ(caller_of(fixture.check(key)).cache_salt, caller.cache_salt);

  ASSERT_TRUE(fixture.access->revoke_key("alice", kNow).ok());
  EXPECT_EQ(denial_of(fixture.check(key)).message, "the API key \"alice\" was revoked");
  fixture.open();
  EXPECT_EQ(denial_of(fixture.check(key)).reason, Reason::kExpired);
  ASSERT_TRUE(fixture.access->remove_key(stored.id).ok());
  EXPECT_EQ(denial_of(fixture.check(key)).reason, Reason::kBadKey);
  EXPECT_EQ(fixture.access->remove_key("alice").code(), StatusCode::kNotFound);
  EXPECT_EQ(fixture.access->revoke_key("alice", kNow).message(), "there is no key \"alice\"");
}

TEST(Access, SaltsTellCallersApart) {
  Fixture fixture;
  const Caller a = caller_of(fixture.check(fixture.make_key({.name = "a"})));
  const Caller b = caller_of(fixture.check(fixture.make_key({.name = "b"})));
  const Caller local = caller_of(fixture.access->check({.local_socket = true}, std::nullopt, kNow));
  const Caller token = caller_of(fixture.check(kToken));
  EXPECT_NE(a.cache_salt, b.cache_salt);
  EXPECT_NE(a.cache_salt, local.cache_salt);
  EXPECT_EQ(local.cache_salt, token.cache_salt);  // one user
  EXPECT_EQ(a.cache_salt.size(), 32U);
}

TEST(Access, RefusesOddKeys) {
  Fixture fixture;
  fixture.make_key({.name = "taken"});
  struct Case {
    NewKey key;
    const char* error;
  };
  const Case cases[] = {
      {{.name = ""}, "name: must be 1 to 64 letters, digits, dots, dashes and underscores"},
      {{.name = "a b"}, "name: must be 1 to 64 letters, digits, dots, dashes and underscores"},
      {{.name = "local"}, "name: \"local\" has a meaning of its own"},
      {{.name = "taken"}, "name: there is a key \"taken\" already"},
      {{.name = "x", .scopes = {}}, "scopes: there must be one"},
      {{.name = "x", .scopes = {"root"}},
       "scopes: \"root\" is not a scope: inference, models:read, models:write, metrics, admin"},
      {{.name = "x", .models = {""}}, "models: a pattern must have 1 to 512 characters"},
      {{.name = "x", .requests_per_minute = -1}, "requests_per_minute: -1 is out of range"},
      {{.name = "x", .weight = 0}, "weight: 0 is not between 0.001 and 1000"},
      {{.name = "x", .expires = kNow}, "expires: is in the past"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(fixture.access->create_key(c.key, kNow).status().message(), c.error);
  EXPECT_EQ(fixture.access->keys().size(), 1U);
}

TEST(Access, RequestsAMinute) {
  Fixture fixture;
  const std::string key = fixture.make_key({.name = "k", .requests_per_minute = 3});
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key)));
  const Denial denial = denial_of(fixture.check(key));
  EXPECT_EQ(denial.http_status, 429);
  EXPECT_EQ(denial.retry_after, 20s);
  EXPECT_EQ(denial.message, "the API key \"k\" may make 3 requests a minute; try again in 20 s");
  // What is not inference is not counted, nor is what was refused.
  EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key, Scope::kModelsRead)));
  EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key, Scope::kInference, kNow + 20s)));
  EXPECT_FALSE(std::holds_alternative<Caller>(fixture.check(key, Scope::kInference, kNow + 20s)));
}

TEST(Access, TokensAMinute) {
  Fixture fixture;
  const std::string key = fixture.make_key({.name = "k", .tokens_per_minute = 600});
  const Caller caller = caller_of(fixture.check(key));
  ASSERT_TRUE(fixture.access->charge(caller, "m", {.prompt_tokens = 800, .generated_tokens = 100}, kNow).ok());
  // 300 more than there were, at ten a second, and one to go on with.
  EXPECT_EQ(denial_of(fixture.check(key)).retry_after, 31s);
  EXPECT_EQ(denial_of(fixture.check(key, Scope::kInference, kNow + 30s)).reason, Reason::kRate);
  EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key, Scope::kInference, kNow + 31s)));
}

TEST(Access, QuotasOfDaysAndMonths) {
  Fixture fixture;
  const std::string key = fixture.make_key({.name = "k", .tokens_per_day = 100, .tokens_per_month = 250});
  Caller caller = caller_of(fixture.check(key));
  const TokenUse use{.prompt_tokens = 90, .cached_tokens = 50, .generated_tokens = 20};
  ASSERT_TRUE(fixture.access->charge(caller, "m", use, kNow).ok());
  Denial denial = denial_of(fixture.check(key));
  EXPECT_EQ(denial.reason, Reason::kQuota);
  EXPECT_EQ(denial.retry_after, 12h);
  EXPECT_EQ(denial.message, "the API key \"k\" has used its 100 tokens of today");
  fixture.open();  // the ledger remembers
  EXPECT_EQ(denial_of(fixture.check(key)).reason, Reason::kQuota);

  // The next day is the first of another month.
  const WallTime december = kNow + 24h;
  caller = caller_of(fixture.check(key, Scope::kInference, december));
  for (int day = 0; day < 2; ++day) {
    EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key, Scope::kInference, december + day * 24h)));
    ASSERT_TRUE(fixture.access->charge(caller, "m", use, december + day * 24h).ok());
  }
  EXPECT_TRUE(std::holds_alternative<Caller>(fixture.check(key, Scope::kInference, december + 48h)));
  ASSERT_TRUE(fixture.access->charge(caller, "m", use, december + 48h).ok());
  denial = denial_of(fixture.check(key, Scope::kInference, december + 72h));
  EXPECT_EQ(denial.message, "the API key \"k\" has used its 250 tokens of this month");
  // From 4 December, 12:00, to 1 January.
  EXPECT_EQ(denial.retry_after, 24h * 27 + 12h);
}

TEST(Access, TheLedgerCountsEverybody) {
  Fixture fixture;
  const Caller local = caller_of(fixture.access->check({.local_socket = true}, Scope::kInference, kNow));
  ASSERT_TRUE(fixture.access->charge(local, "m", {.prompt_tokens = 5}, kNow).ok());
  EXPECT_EQ(fixture.store.uses.begin()->first.first, "");
  EXPECT_EQ(fixture.store.models["m"], 1);

  const std::string key = fixture.make_key({.name = "k", .weight = 2.0});
  const Caller caller = caller_of(fixture.check(key, Scope::kInference, kNow));
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(fixture.access->charge(caller, "m", {.prompt_tokens = 1}, kNow).ok());
  EXPECT_EQ(fixture.store.updates, 1);  // when it was last used, once a minute at most
  EXPECT_EQ(fixture.store.keys.begin()->second.last_used,
            std::chrono::duration_cast<std::chrono::seconds>(kNow.time_since_epoch()).count());
  EXPECT_EQ(fixture.access->weights(), (std::map<std::string, double, std::less<>>{{"k", 2.0}}));
}

TEST(Access, ManyThreads) {
  Fixture fixture;
  const std::string key = fixture.make_key({.name = "k", .requests_per_minute = 100});
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string field = "Bearer " + key;
      for (int i = 0; i < 100; ++i) {
        const AccessDecision decision = fixture.access->check({.authorization = field}, Scope::kInference, kNow);
        if (std::holds_alternative<Caller>(decision)) ++admitted;
        if (i == 50) {
          const std::string name = "t" + std::to_string(t);
          EXPECT_TRUE(fixture.access->create_key({.name = name}, kNow).ok());
          EXPECT_TRUE(fixture.access->remove_key(name).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(admitted, 100);
}

TEST(ModelMatches, Globs) {
  struct Case {
    const char* pattern;
    const char* model;
    bool matches;
  };
  const Case cases[] = {
      {"*", "anything", true},
      {"qwen3", "qwen3", true},
      {"qwen3", "qwen3:latest", true},
      {"qwen3:latest", "Qwen3", true},
      {"qwen3", "qwen3:8b", false},
      {"qwen3:*", "qwen3:8b", true},
      {"*/*:q4*", "hf/x:Q4_K", true},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"a*b*c", "axxbyyc", true},
      {"a*b*c", "axxbyy", false},
      {"", "", true},
      {"", "x", false},
      {"**", "x", true},
  };
  for (const Case& c : cases)
    EXPECT_EQ(model_matches(c.pattern, c.model), c.matches) << c.pattern << " " << c.model;
  // At worst a product of lengths, not an exponential.
  EXPECT_FALSE(model_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

TEST(TokenBucket, ClockThatGoesBack) {
  TokenBucket bucket(60);
  bucket.take(60, kNow);
  EXPECT_EQ(bucket.wait_for(1, kNow - 1h), 1s);
  EXPECT_EQ(bucket.wait_for(1, kNow - 1h + 1s), 0s);
  EXPECT_EQ(bucket.wait_for(1000, kNow + 24h), 0s);  // more than a minute's worth is a minute's worth
  EXPECT_EQ(TokenBucket(0).wait_for(1e9, kNow), 0s);
}

// Of other software: `printf abc | sha256sum`, and RFC 4231, test case 2.
TEST(Digest, KnownAnswers) {
  EXPECT_EQ(access_detail::sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(access_detail::hmac_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(access_detail::random_text(32).reveal().size(), 43U);
  EXPECT_NE(access_detail::random_text(32).reveal(), access_detail::random_text(32).reveal());
}

}  // namespace
}  // namespace mlxr
