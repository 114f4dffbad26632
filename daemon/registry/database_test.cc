#include "daemon/registry/database.h"

#include <sys/stat.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/registry/cache_entries.h"
#include "daemon/registry/key_table.h"
#include "daemon/registry/response_store.h"
#include "daemon/registry/store_test_folder.h"
#include "daemon/registry/usage_ledger.h"

namespace mlxr {
namespace {

std::unique_ptr<Database> open_in_memory() {
  return std::move(Database::open(":memory:")).value();
}

TEST(Database, MakesAPrivateFileAndOpensItAgain) {
  const StoreTestFolder folder;
  const std::string path = folder / "deep/er/registry.db";
  {
    auto database = Database::open(path);
    ASSERT_TRUE(database.ok()) << database.status().message();
    EXPECT_GE((*database)->version(), 1);
    EXPECT_EQ(*(*database)->check(), "");
    struct stat info {};
    for (const char* suffix : {"", "-wal", "-shm"}) {
      ASSERT_EQ(::stat((path + suffix).c_str(), &info), 0) << suffix;
      EXPECT_EQ(info.st_mode & 0777, 0600U) << suffix;
    }
  }
  EXPECT_TRUE(Database::open(path).ok());
}

TEST(Database, RefusesWhatANewerProgramWrote) {
  const StoreTestFolder folder;
  const std::string path = folder / "registry.db";
  ASSERT_TRUE((*Database::open(path))->execute("PRAGMA user_version = 999").ok());
  const auto database = Database::open(path);
  EXPECT_EQ(database.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(database.status().message().find("newer version"), std::string::npos);
}

TEST(Database, RefusesWhatIsNotItsOwn) {
  const StoreTestFolder folder;
  write_test_file(folder / "text.db",
                  "this is no database, but it is long enough to be looked at as one" + std::string(200, '.'));
  const auto text = Database::open(folder / "text.db");
  EXPECT_EQ(text.status().code(), StatusCode::kCorrupt) << text.status().message();
  ASSERT_TRUE((*Database::open(folder / "other.db"))->execute("PRAGMA application_id = 77").ok());
  const auto other = Database::open(folder / "other.db");
  EXPECT_EQ(other.status().code(), StatusCode::kCorrupt);
  EXPECT_NE(other.status().message().find("another program"), std::string::npos);

  const auto aside = set_database_aside(folder / "text.db");
  ASSERT_TRUE(aside.ok());
  EXPECT_EQ(*aside, folder / "text.db.damaged-1");
  EXPECT_TRUE(Database::open(folder / "text.db").ok());
}

TEST(Database, ATransactionIsAllOrNothing) {
  const auto database = open_in_memory();
  UsageLedger ledger(*database);
  {
    Transaction transaction(*database);
    ASSERT_TRUE(ledger.add("k", "m", 1, {1, 2, 0, 3}).ok());
  }
  EXPECT_EQ(ledger.total("k", 0, 9)->requests, 0);
  {
    Transaction transaction(*database);
    ASSERT_TRUE(ledger.add("k", "m", 1, {1, 2, 0, 3}).ok());
    ASSERT_TRUE(transaction.commit().ok());
  }
  EXPECT_EQ(ledger.total("k", 0, 9)->requests, 1);
}

TEST(Database, TypesAreStrictAndErrorsAreTold) {
  const auto database = open_in_memory();
  Query wrong(*database, "INSERT INTO usage VALUES ('k', 'm', 'not a day', 1, 1, 1, 1)");
  EXPECT_FALSE(wrong.run().ok());
  Query broken(*database, "SELEKT 1");
  EXPECT_FALSE(broken.next().ok());
}

TEST(Database, TwoConnectionsAndManyThreads) {
  const StoreTestFolder folder;
  const std::string path = folder / "registry.db";
  constexpr int kThreads = 4;
  constexpr int kAdds = 25;
  const auto first = std::move(Database::open(path)).value();
  const auto second = std::move(Database::open(path)).value();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      UsageLedger ledger(i % 2 == 0 ? *first : *second);
      for (int j = 0; j < kAdds; ++j)
        EXPECT_TRUE(ledger.add("k", "m", j % 3, {1, 10, 5, 2}).ok());
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  const Usage total = *UsageLedger(*first).total("k", 0, 2);
  EXPECT_EQ(total.requests, kThreads * kAdds);
  EXPECT_EQ(total.tokens(), kThreads * kAdds * 12);
  EXPECT_EQ(UsageLedger(*first).rows(1, 2)->size(), 2U);
}

TEST(KeyTable, InsertFindUpdateRemove) {
  const auto database = open_in_memory();
  KeyTable table(*database);
  KeyRow key;
  key.id = "key_1";
  key.name = "laptop";
  key.hash = "abc";
  key.prefix = "mlxr_sk_12";
  key.scopes = {"inference", "models:read"};
  key.models = {"llama*"};
  key.weight = 2.5;
  key.created = 100;
  key.expires = 200;
  ASSERT_TRUE(table.insert(key).ok());
  KeyRow same_name = key;
  same_name.id = "key_2";
  same_name.hash = "def";
  EXPECT_EQ(table.insert(same_name).code(), StatusCode::kInvalidArgument);
  const auto found = *table.find_by_hash("abc");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->scopes, key.scopes);
  EXPECT_EQ(found->models, key.models);
  EXPECT_EQ(found->expires, 200);
  EXPECT_EQ(found->revoked, std::nullopt);
  EXPECT_DOUBLE_EQ(found->weight, 2.5);
  EXPECT_FALSE(table.find_by_hash("zzz")->has_value());
  key.revoked = 150;
  key.name = "desk";
  ASSERT_TRUE(table.update(key).ok());
  ASSERT_TRUE(table.touch("key_1", 170).ok());
  EXPECT_EQ((*table.find("desk"))->revoked, 150);
  EXPECT_EQ((*table.find("key_1"))->last_used, 170);
  EXPECT_EQ(table.list()->size(), 1U);
  EXPECT_TRUE(table.remove("key_1").ok());
  EXPECT_EQ(table.remove("key_1").code(), StatusCode::kNotFound);
}

TEST(ResponseStore, ChainsBelongToAKey) {
  const auto database = open_in_memory();
  ResponseStore store(*database);
  StoredResponse first{"resp_1", "k", std::nullopt, "m", 10, "completed", "[1]", "{}"};
  StoredResponse second{"resp_2", "k", "resp_1", "m", 20, "completed", "[2]", "{}"};
  ASSERT_TRUE(store.insert(first).ok());
  ASSERT_TRUE(store.insert(second).ok());
  EXPECT_FALSE(store.insert(second).ok());
  const auto chain = store.chain("resp_2", "k");
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain->size(), 2U);
  EXPECT_EQ((*chain)[0].id, "resp_1");
  EXPECT_EQ(store.chain("resp_2", "k", 1).status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(store.find("resp_1", "other")->has_value());
  EXPECT_EQ(store.remove("resp_1", "other").code(), StatusCode::kNotFound);
  EXPECT_EQ(*store.remove_before(15), 1);
  const auto broken = store.chain("resp_2", "k");
  EXPECT_EQ(broken.status().code(), StatusCode::kNotFound);
  EXPECT_NE(broken.status().message().find("resp_1"), std::string::npos);
}

TEST(CacheEntries, LeastRecentlyUsedGo) {
  const auto database = open_in_memory();
  CacheEntries cache(*database);
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(cache.put("k", std::to_string(i), "v", 100 + i).ok());
  EXPECT_EQ(*cache.find("k", "0", 100 + 86400 * 2), "v");  // written down as used then
  EXPECT_EQ(*cache.trim("k", 2), 3);
  EXPECT_TRUE(cache.find("k", "0", 100)->has_value());
  EXPECT_TRUE(cache.find("k", "4", 100)->has_value());
  EXPECT_FALSE(cache.find("k", "3", 100)->has_value());
}

}  // namespace
}  // namespace mlxr
