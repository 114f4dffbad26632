#include "daemon/access/registry_key_store.h"

#include <gtest/gtest.h>

#include "daemon/access/access.h"
#include "daemon/registry/database.h"
#include "daemon/registry/key_table.h"
#include "daemon/registry/usage_ledger.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using namespace std::chrono_literals;

// Keys and what they used outlive the process, and no secret is in the file.
TEST(RegistryKeyStore, KeysOutliveTheProcess) {
  const test::TempDir folder;
  const WallTime now = std::chrono::sys_days(std::chrono::year(2026) / 11 / 30) + 12h;
  std::string key;
  std::string salt;
  for (const bool first : {true, false}) {
    auto database = Database::open(folder.path("registry.db"));
    ASSERT_TRUE(database.ok()) << database.status().message();
    KeyTable keys(**database);
    UsageLedger usage(**database);
    RegistryKeyStore store(keys, usage);
    Authenticator::Options options;
    options.server_secret = Secret(std::string(32, 's'));
    const auto access = Authenticator::open(store, std::move(options), now);
    ASSERT_TRUE(access.ok()) << access.status().message();
    if (first) {
      NewKey wanted{.name = "alice"};
      wanted.models = {"qwen*"};
      wanted.tokens_per_day = 10;
      wanted.expires = now + 24h;
      const auto created = (*access)->create_key(wanted, now);
      ASSERT_TRUE(created.ok()) << created.status().message();
      key = created->key.reveal();
      EXPECT_FALSE((*access)->create_key(wanted, now).ok());
    }
    const std::string field = "Bearer " + key;
    const AccessDecision decision = (*access)->check({.authorization = field}, Scope::kInference, now);
    if (first) {
      ASSERT_TRUE(std::holds_alternative<Caller>(decision)) << std::get<Denial>(decision).message;
      const Caller& caller = std::get<Caller>(decision);
      salt = caller.cache_salt;
      EXPECT_TRUE(caller.may_use("qwen3"));
      EXPECT_FALSE(caller.may_use("llama"));
      EXPECT_TRUE((*access)->charge(caller, "qwen3", {.prompt_tokens = 9, .generated_tokens = 1}, now).ok());
    } else {
      ASSERT_TRUE(std::holds_alternative<Denial>(decision));
      EXPECT_EQ(std::get<Denial>(decision).reason, Denial::Reason::kQuota);
      EXPECT_TRUE((*access)->revoke_key("alice", now).ok());
      EXPECT_TRUE(keys.find("alice").value()->revoked.has_value());
      EXPECT_TRUE((*access)->remove_key("alice").ok());
      EXPECT_TRUE(keys.list()->empty());
    }
  }
  for (const char* name : {"registry.db", "registry.db-wal"}) {
    EXPECT_EQ(test::read_file(folder.path(name)).find(key.substr(8)), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace mlxr
