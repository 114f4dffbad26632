#include "core/backend/host_kv_storage.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

std::unique_ptr<KvStorage> make(const KvLayout& layout) {
  auto made = HostKvStorage::make(layout);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).value();
}

std::vector<std::byte> numbered(std::size_t bytes, int seed) {
  std::vector<std::byte> out(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    out[i] = static_cast<std::byte>(i * 7 + i / 251 + static_cast<std::size_t>(seed));
  return out;
}

std::vector<std::byte> read(KvStorage& storage, std::int64_t group, std::int64_t block) {
  std::vector<std::byte> out(storage.block_bytes(group));
  EXPECT_TRUE(storage.read_block(group, block, out).ok());
  return out;
}

// Layers 0 and 2 in group 0, layer 1 in group 1.
const KvLayout kTwoGroups{{{2, 64, 32, 0}, {1, 64, 64, 1}, {2, 32, 32, 0}}, {5, 3}, 16, KvType::kF16};

TEST(HostKvStorage, BlocksComeBackAsWritten) {
  const auto storage = make(kTwoGroups);
  EXPECT_EQ(storage->block_bytes(0), 16U * 2 * 2 * (64 + 32 + 32 + 32));
  EXPECT_EQ(storage->block_bytes(1), 16U * 2 * (64 + 64));
  for (const std::int64_t group : {0, 1}) {
    for (std::int64_t block = 0; block < kTwoGroups.num_blocks[static_cast<std::size_t>(group)]; ++block) {
      const auto bytes = numbered(storage->block_bytes(group), static_cast<int>(10 * group + block));
      ASSERT_TRUE(storage->write_block(group, block, bytes).ok());
    }
  }
  for (const std::int64_t group : {0, 1}) {
    for (std::int64_t block = 0; block < kTwoGroups.num_blocks[static_cast<std::size_t>(group)]; ++block) {
      EXPECT_EQ(read(*storage, group, block),
                numbered(storage->block_bytes(group), static_cast<int>(10 * group + block)));
    }
  }
}

TEST(HostKvStorage, CopiesOneBlockOfOneGroup) {
  const auto storage = make(kTwoGroups);
  const auto source = numbered(storage->block_bytes(0), 1);
  const auto other = numbered(storage->block_bytes(1), 2);
  ASSERT_TRUE(storage->write_block(0, 4, source).ok());
  ASSERT_TRUE(storage->write_block(1, 2, other).ok());
  storage->copy_block(0, 4, 2);
  storage->copy_block(0, 4, 4);
  EXPECT_EQ(read(*storage, 0, 2), source);
  EXPECT_EQ(read(*storage, 0, 4), source);
  EXPECT_EQ(read(*storage, 1, 2), other);
  for (const std::int64_t untouched : {0, 1, 3}) {
    const auto bytes = read(*storage, 0, untouched);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST(HostKvStorage, RefusesBytesOfAnotherSize) {
  const auto storage = make(kTwoGroups);
  std::vector<std::byte> bytes(storage->block_bytes(0) + 1);
  EXPECT_EQ(storage->write_block(0, 0, bytes).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(storage->read_block(0, 0, bytes).message(), "a KV block of group 0 has 10240 bytes, not 10241");
}

TEST(HostKvStorage, FingerprintFollowsWhatTheBytesMean) {
  const std::string first = make(kTwoGroups)->fingerprint();
  EXPECT_EQ(first,
            "host-kv-1 f16 le block 16 1x[group 0 heads 2 dims 64/32] 1x[group 1 heads 1 dims 64/64] "
            "1x[group 0 heads 2 dims 32/32]");
  KvLayout more_blocks = kTwoGroups;
  more_blocks.num_blocks = {50, 30};
  EXPECT_EQ(make(more_blocks)->fingerprint(), first);
  KvLayout other_type = kTwoGroups;
  other_type.type = KvType::kBF16;
  EXPECT_NE(make(other_type)->fingerprint(), first);
  KvLayout other_block = kTwoGroups;
  other_block.block_tokens = 32;
  EXPECT_NE(make(other_block)->fingerprint(), first);
  KvLayout other_group = kTwoGroups;
  other_group.layers[2].group = 1;
  EXPECT_NE(make(other_group)->fingerprint(), first);
}

TEST(HostKvStorage, BlocksOfTypesWithScalesComeBack) {
  for (const KvType type : {KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3}) {
    KvLayout layout = kTwoGroups;
    layout.type = type;
    const auto storage = make(layout);
    const std::size_t per_token = 2 * (*kv_row_bytes(type, 64) + 3 * *kv_row_bytes(type, 32));
    EXPECT_EQ(storage->block_bytes(0), 16 * per_token);
    const auto bytes = numbered(storage->block_bytes(0), 3);
    ASSERT_TRUE(storage->write_block(0, 1, bytes).ok());
    storage->copy_block(0, 1, 4);
    EXPECT_EQ(read(*storage, 0, 4), bytes);
  }
  KvLayout rotated = kTwoGroups;
  rotated.type = KvType::kQ4_0;
  KvLayout plain = rotated;
  plain.rotate = false;
  EXPECT_NE(make(rotated)->fingerprint(), make(plain)->fingerprint());
}

TEST(HostKvStorage, RefusesHeadsThatScalesDoNotDivide) {
  KvLayout layout{{{1, 64, 64}, {1, 64, 80}}, {1}, 32, KvType::kQ8_0};
  EXPECT_EQ(HostKvStorage::make(layout).status().message(),
            "a KV cache of q8_0 needs head sizes that are multiples of 32, and layer 1 has 80");
  layout.type = KvType::kFP8_E4M3;
  EXPECT_TRUE(HostKvStorage::make(layout).ok());
}

TEST(HostKvStorage, RefusesLayoutsWithoutSense) {
  KvLayout groups = kTwoGroups;
  groups.num_blocks = {5};
  EXPECT_EQ(HostKvStorage::make(groups).status().message(), "layer 1 is in KV group 1 of 1");
  groups.num_blocks = {1, 1, 1, 1, 1};
  EXPECT_EQ(HostKvStorage::make(groups).status().message(), "5 groups of KV layers, at most 4");
}

}  // namespace
}  // namespace mlxr
