#include "core/runtime/kv/single_sequence_kv.h"

#include <gtest/gtest.h>

namespace mlxr {
namespace {

TEST(SingleSequenceKv, GrowsByBlocksAndTruncates) {
  SingleSequenceKv kv(3, 4);
  const SequenceId id = *kv.open();
  EXPECT_EQ(kv.max_length(), 12);
  EXPECT_TRUE(kv.blocks(id).empty());
  ASSERT_TRUE(kv.extend(id, 5).ok());
  EXPECT_EQ(kv.length(id), 5);
  ASSERT_EQ(kv.blocks(id).size(), 2U);
  EXPECT_EQ(kv.blocks(id)[1], 1);
  kv.truncate(id, 4);
  EXPECT_EQ(kv.blocks(id).size(), 1U);
}

TEST(SingleSequenceKv, RefusesMoreThanItHolds) {
  SingleSequenceKv kv(2, 4);
  const SequenceId id = *kv.open();
  ASSERT_TRUE(kv.extend(id, 8).ok());
  const Status full = kv.extend(id, 1);
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(kv.length(id), 8);
  EXPECT_EQ(kv.open().status().code(), StatusCode::kResourceExhausted);
  kv.close(id);
  ASSERT_TRUE(kv.open().ok());
  EXPECT_EQ(kv.length(id), 0);
}

}  // namespace
}  // namespace mlxr
