#include "core/runtime/kv/block_pool.h"

#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

BlockHash name(std::uint64_t value) {
  Sha256 sha;
  return sha.update(std::as_bytes(std::span(&value, 1))).finish();
}

TEST(BlockHash, IsSha256OfParentAndTokens) {
  Sha256 sha;
  // printf '' | sha256sum
  EXPECT_EQ(sha.finish().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // python3: hashlib.sha256(bytes(32) + struct.pack('<4i', 1, 2, 3, -1)).hexdigest()
  const std::vector<std::int32_t> tokens = {1, 2, 3, -1};
  EXPECT_EQ(chain_hash(sha, BlockHash{}, tokens).hex(),
            "5a66d442560d199a31cfcd53b3705ba5527385ebcbeeff33a248820035f658aa");
}

TEST(BlockHash, ScopesDifferInEveryPart) {
  const BlockHash image = name(1);
  const PrefixScopeParts plain{.model = "m", .adapter = "a", .images = {}, .caller_salt = "s"};
  const BlockHash base = make_prefix_scope(plain).salt;
  EXPECT_EQ(make_prefix_scope(plain).salt, base);
  EXPECT_NE(make_prefix_scope({.model = "n", .adapter = "a", .images = {}, .caller_salt = "s"}).salt, base);
  EXPECT_NE(make_prefix_scope({.model = "m", .adapter = "b", .images = {}, .caller_salt = "s"}).salt, base);
  EXPECT_NE(make_prefix_scope({.model = "m", .adapter = "a", .images = {}, .caller_salt = "t"}).salt, base);
  EXPECT_NE(make_prefix_scope({.model = "ma", .adapter = "", .images = {}, .caller_salt = "s"}).salt, base);
  EXPECT_NE(make_prefix_scope({.model = "m", .adapter = "a", .images = {&image, 1}, .caller_salt = "s"}).salt, base);
}

// Chains of equal home slots, wrapped around the end of the table, in any order of removal.
TEST(BlockIndex, FindsWhatIsInItAfterAnyRemovals) {
  constexpr std::int32_t kBlocks = 24;
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    BlockIndex index(kBlocks);
    std::vector<BlockHash> names(kBlocks);
    std::set<std::int32_t> in;
    for (std::int32_t block = 0; block < kBlocks; ++block) {
      names[static_cast<std::size_t>(block)].bytes[0] = static_cast<std::uint8_t>(61 + random() % 4);
      names[static_cast<std::size_t>(block)].bytes[31] = static_cast<std::uint8_t>(block);
    }
    for (int step = 0; step < 200; ++step) {
      const auto block = static_cast<std::int32_t>(random() % kBlocks);
      if (in.erase(block) != 0) {
        index.erase(block);
      } else {
        index.insert(block, names[static_cast<std::size_t>(block)]);
        in.insert(block);
      }
      for (std::int32_t other = 0; other < kBlocks; ++other) {
        ASSERT_EQ(index.find(names[static_cast<std::size_t>(other)]), in.contains(other) ? other : -1);
      }
    }
    EXPECT_EQ(index.size(), static_cast<std::int64_t>(in.size()));
  }
}

TEST(BlockPool, GivesFreeBlocksFirstThenTheOldestCachedOne) {
  BlockPool pool(3);
  for (const std::int32_t expected : {0, 1, 2})
    EXPECT_EQ(pool.take(), expected);
  pool.publish(1, name(1));
  pool.publish(2, name(2));
  pool.release(2);
  pool.release(1);
  pool.release(0);
  EXPECT_EQ(pool.num_cached(), 2);
  EXPECT_EQ(pool.num_available(), 3);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.num_evictions(), 0);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.find(name(2)), -1);
  EXPECT_EQ(pool.find(name(1)), 1);
  EXPECT_EQ(pool.num_evictions(), 1);
}

TEST(BlockPool, KeepsACachedBlockThatIsReferredToAgain) {
  BlockPool pool(2);
  const std::int32_t block = pool.take();
  pool.publish(block, name(1));
  pool.release(block);
  pool.retain(block);
  pool.retain(block);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.num_available(), 0);
  pool.release(block);
  EXPECT_EQ(pool.num_available(), 0);
  pool.release(block);
  EXPECT_EQ(pool.num_available(), 1);
  EXPECT_TRUE(pool.check_integrity(std::vector<std::int32_t>{0, 1}).ok());
}

TEST(BlockPool, NamesWrongReferences) {
  BlockPool pool(2);
  pool.take();
  const Status status = pool.check_integrity(std::vector<std::int32_t>{2, 0});
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_EQ(status.message(), "block 0 counts 1 references, the tables have 2");
}

}  // namespace
}  // namespace mlxr
