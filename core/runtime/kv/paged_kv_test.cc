#include "core/runtime/kv/paged_kv.h"

#include <numeric>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kBlock = 4;

PagedKvOptions options(std::int64_t num_blocks) {
  return {.groups = {{.num_blocks = num_blocks}}, .block_tokens = kBlock, .max_length = 64, .max_sequences = 4};
}

Ids tokens(std::int64_t count, std::int32_t first = 100) {
  Ids ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

Ids table(const PagedKv& kv, SequenceId id, int group = 0) {
  const auto blocks = kv.blocks(id, group);
  return {blocks.begin(), blocks.end()};
}

// What a step does to a sequence.
void append(PagedKv& kv, SequenceId id, const Ids& ids) {
  ASSERT_TRUE(kv.extend(id, static_cast<std::int64_t>(ids.size())).ok());
  kv.commit(id, ids);
}

SequenceId opened(PagedKv& kv, const Ids& ids) {
  const SequenceId id = *kv.open();
  append(kv, id, ids);
  return id;
}

#define EXPECT_INTEGRITY(kv)                            \
  do {                                                  \
    const Status integrity = (kv).check_integrity();    \
    EXPECT_TRUE(integrity.ok()) << integrity.message(); \
  } while (false)

TEST(PagedKvOptions, NamesTheWrongField) {
  EXPECT_TRUE(options(1).validate().ok());
  PagedKvOptions wrong = options(1);
  wrong.block_tokens = 24;
  EXPECT_EQ(wrong.validate().message(), "block_tokens is 24, must be a power of two");
  wrong = options(0);
  EXPECT_EQ(wrong.validate().message(), "num_blocks is 0, must be 1 to 2147483647");
  wrong.groups.clear();
  EXPECT_EQ(wrong.validate().code(), StatusCode::kInvalidArgument);
}

TEST(PagedKv, GrowsByBlocksAndTruncates) {
  PagedKv kv(options(8));
  const SequenceId a = *kv.open();
  const SequenceId b = *kv.open();
  EXPECT_NE(a, b);
  ASSERT_TRUE(kv.extend(a, 5).ok());
  ASSERT_TRUE(kv.extend(b, 1).ok());
  EXPECT_EQ(table(kv, a), (Ids{0, 1}));
  EXPECT_EQ(table(kv, b), (Ids{2}));
  EXPECT_EQ(kv.free_blocks(), 5);
  kv.truncate(a, 4);
  EXPECT_EQ(table(kv, a), (Ids{0}));
  kv.truncate(a, 0);
  EXPECT_TRUE(kv.blocks(a).empty());
  EXPECT_EQ(kv.free_blocks(), 7);
  kv.close(a);
  kv.close(b);
  EXPECT_EQ(kv.free_blocks(), 8);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, RefusesWithoutChangingAnything) {
  PagedKvOptions some = options(4);
  some.groups.push_back({.num_blocks = 2});
  some.max_length = 15;
  PagedKv kv(some);
  const SequenceId id = *kv.open();
  EXPECT_EQ(kv.extend(id, 16).message(), "the context of 15 tokens is full: 0 in use, 16 more wanted");
  const Status full = kv.extend(id, 9);
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(full.message(), "the KV cache is full: 3 blocks of 4 tokens wanted, 2 of 2 can be had");
  EXPECT_EQ(kv.length(id), 0);
  EXPECT_EQ(kv.free_blocks(0), 4);
  ASSERT_TRUE(kv.extend(id, 8).ok());
  for (int i = 1; i < 4; ++i)
    ASSERT_TRUE(kv.open().ok());
  EXPECT_EQ(kv.open().status().message(), "all 4 sequences of the KV cache are in use");
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, ReserveMakesRoomThatExtendUses) {
  PagedKv kv(options(4));
  const SequenceId a = *kv.open();
  const SequenceId b = *kv.open();
  ASSERT_TRUE(kv.reserve(a, 9).ok());
  EXPECT_EQ(kv.length(a), 0);
  EXPECT_TRUE(kv.blocks(a).empty());
  EXPECT_EQ(kv.free_blocks(), 1);
  ASSERT_TRUE(kv.extend(b, 4).ok());
  EXPECT_FALSE(kv.extend(b, 1).ok());
  ASSERT_TRUE(kv.extend(a, 9).ok());
  EXPECT_EQ(table(kv, a), (Ids{0, 1, 2}));
  EXPECT_INTEGRITY(kv);
  kv.truncate(a, 1);
  EXPECT_EQ(kv.free_blocks(), 2);
}

TEST(PagedKv, FindsPrefixesOfLiveAndFinishedSequences) {
  PagedKv kv(options(16));
  const Ids prompt = tokens(10);
  const SequenceId a = opened(kv, prompt);
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, prompt), 8);
  EXPECT_EQ(table(kv, b), (Ids{0, 1}));
  EXPECT_EQ(kv.committed(b), 8);
  kv.close(a);
  kv.close(b);
  const SequenceId c = *kv.open();
  EXPECT_EQ(kv.attach_prefix(c, prompt), 8);
  Ids other = prompt;
  other[5] = 1;
  const SequenceId d = *kv.open();
  EXPECT_EQ(kv.attach_prefix(d, other), 4);
  EXPECT_EQ(kv.stats().hit_tokens, 20);
  EXPECT_EQ(kv.stats().miss_tokens, 10);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, LeavesTheLastTokenToBeComputed) {
  PagedKv kv(options(16));
  opened(kv, tokens(8));
  const struct { std::int64_t asked, covered; } cases[] = {{0, 0}, {1, 0}, {4, 0}, {5, 4}, {8, 4}, {9, 8}, {20, 8}};
  for (const auto& row : cases) {
    const SequenceId id = *kv.open();
    EXPECT_EQ(kv.attach_prefix(id, tokens(row.asked)), row.covered) << row.asked;
    kv.close(id);
  }
}

TEST(PagedKv, SharesOnlyWithinAScope) {
  PagedKv kv(options(16));
  const PrefixScope mine = make_prefix_scope({.model = "m", .adapter = {}, .images = {}, .caller_salt = "me"});
  const SequenceId a = *kv.open(mine);
  append(kv, a, tokens(8));
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(9)), 0);
  const SequenceId c = *kv.open(mine);
  EXPECT_EQ(kv.attach_prefix(c, tokens(9)), 8);
  EXPECT_EQ(kv.prefix_hashes(a, tokens(9)), kv.prefix_hashes(c, tokens(8)));
  EXPECT_NE(kv.prefix_hashes(a, tokens(9)), kv.prefix_hashes(b, tokens(9)));
}

TEST(PagedKv, UncommittedBlocksAreNotFound) {
  PagedKv kv(options(16));
  const SequenceId a = *kv.open();
  ASSERT_TRUE(kv.extend(a, 8).ok());
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(8)), 0);
  kv.commit(a, tokens(5));
  EXPECT_EQ(kv.attach_prefix(b, tokens(8)), 4);
}

TEST(PagedKv, EvictsSuffixesBeforePrefixes) {
  PagedKv kv(options(4));
  kv.close(opened(kv, tokens(16)));
  EXPECT_EQ(kv.free_blocks(), 4);
  const SequenceId a = opened(kv, tokens(8, 500));
  EXPECT_EQ(kv.stats().evictions, 2);
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(16)), 8);
  EXPECT_EQ(kv.free_blocks(), 0);
  EXPECT_EQ(kv.extend(b, 1).code(), StatusCode::kResourceExhausted);
  kv.close(a);
  EXPECT_TRUE(kv.extend(b, 1).ok());
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, EqualPromptsEndOnOneCopy) {
  PagedKv kv(options(8));
  const SequenceId a = *kv.open();
  const SequenceId b = *kv.open();
  ASSERT_TRUE(kv.extend(a, 6).ok());
  ASSERT_TRUE(kv.extend(b, 6).ok());
  kv.commit(a, tokens(6));
  kv.commit(b, tokens(6));
  EXPECT_EQ(table(kv, a)[0], table(kv, b)[0]);
  EXPECT_NE(table(kv, a)[1], table(kv, b)[1]);
  EXPECT_EQ(kv.free_blocks(), 5);
  EXPECT_EQ(kv.stats().duplicates, 1);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, ForkSharesAndCopiesThePartialBlockOnWrite) {
  PagedKv kv(options(8));
  const SequenceId a = opened(kv, tokens(6));
  const SequenceId b = *kv.fork(a);
  EXPECT_EQ(table(kv, b), table(kv, a));
  EXPECT_EQ(kv.committed(b), 6);
  EXPECT_TRUE(kv.take_copies().empty());
  append(kv, a, {1});
  EXPECT_EQ(kv.take_copies(), (std::vector<KvCopy>{{KvCopyKind::kBlock, 0, 1, 2}}));
  EXPECT_EQ(table(kv, a), (Ids{0, 2}));
  append(kv, b, {2});
  EXPECT_TRUE(kv.take_copies().empty());
  EXPECT_EQ(table(kv, b), (Ids{0, 1}));
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, ForkLeavesReservedBlocksToTheParent) {
  PagedKv kv(options(8));
  const SequenceId a = opened(kv, tokens(4));
  ASSERT_TRUE(kv.reserve(a, 8).ok());
  const SequenceId b = *kv.fork(a);
  ASSERT_TRUE(kv.extend(a, 8).ok());
  ASSERT_TRUE(kv.extend(b, 4).ok());
  EXPECT_EQ(table(kv, a), (Ids{0, 1, 2}));
  EXPECT_EQ(table(kv, b), (Ids{0, 3}));
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, APublishedBlockIsNeverWritten) {
  PagedKv kv(options(8));
  const SequenceId a = opened(kv, tokens(8));
  kv.truncate(a, 6);
  ASSERT_TRUE(kv.extend(a, 1).ok());
  EXPECT_EQ(kv.take_copies(), (std::vector<KvCopy>{{KvCopyKind::kBlock, 0, 1, 2}}));
  kv.commit(a, Ids{7});
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(9)), 8);
  EXPECT_EQ(table(kv, b), (Ids{0, 1}));
  // The same content again ends on the published block.
  kv.truncate(a, 6);
  append(kv, a, {106, 107});
  EXPECT_EQ(table(kv, a), (Ids{0, 1}));
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, TheLastBlockLosesItsNameWhenThereIsNoneToCopyTo) {
  PagedKv kv(options(2));
  const SequenceId a = opened(kv, tokens(8));
  kv.truncate(a, 7);
  append(kv, a, {1});
  EXPECT_TRUE(kv.take_copies().empty());
  EXPECT_EQ(table(kv, a), (Ids{0, 1}));
  kv.close(a);
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(9)), 4);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, RejectedDraftsLeaveNoTrace) {
  PagedKv kv(options(8));
  const SequenceId a = opened(kv, tokens(6));
  ASSERT_TRUE(kv.extend(a, 5).ok());
  kv.truncate(a, 8);
  kv.commit(a, Ids{106, 107});
  EXPECT_EQ(table(kv, a), (Ids{0, 1}));
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(12)), 8);
  EXPECT_TRUE(kv.take_copies().empty());
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, AWindowKeepsWhatTheNextTokenSees) {
  PagedKvOptions some = options(16);
  some.groups.push_back({.num_blocks = 4, .window = 6});
  PagedKv kv(some);
  const SequenceId a = *kv.open();
  for (std::int32_t position = 0; position < 24; ++position) {
    append(kv, a, {position});
    // The next token, at position + 1, sees from position - 4 on.
    const auto first = static_cast<std::size_t>(std::max(0, position - 4) / kBlock);
    const Ids full = table(kv, a, 0);
    const Ids windowed = table(kv, a, 1);
    ASSERT_EQ(full.size(), windowed.size());
    for (std::size_t entry = 0; entry < first; ++entry)
      EXPECT_EQ(windowed[entry], 0);
    EXPECT_EQ(kv.total_blocks(1) - kv.free_blocks(1), static_cast<std::int64_t>(windowed.size() - first));
    EXPECT_INTEGRITY(kv);
  }
  EXPECT_EQ(kv.shortest_truncation(a), 4 * kBlock + 5);
  kv.truncate(a, 21);
  append(kv, a, {1, 2, 3});
  kv.truncate(a, 0);
  EXPECT_EQ(kv.free_blocks(1), 4);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, AWindowNeedsOnlyItsOwnBlocksForAHit) {
  PagedKvOptions some = options(16);
  some.groups.push_back({.num_blocks = 4, .window = 4});
  PagedKv kv(some);
  kv.close(opened(kv, tokens(16)));
  const SequenceId a = *kv.open();
  // Of the second group, positions 13 to 15 are needed: block 3.
  EXPECT_EQ(kv.attach_prefix(a, tokens(17)), 16);
  EXPECT_EQ(table(kv, a, 1).size(), 4U);
  EXPECT_EQ(kv.total_blocks(1) - kv.free_blocks(1), 1);
  EXPECT_INTEGRITY(kv);
  // Three more blocks evict all but that one, so only the whole prefix is known.
  const SequenceId b = opened(kv, tokens(9, 700));
  const SequenceId c = *kv.open();
  EXPECT_EQ(kv.attach_prefix(c, tokens(13)), 0);
  EXPECT_EQ(kv.attach_prefix(c, tokens(17)), 16);
  kv.close(b);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, SwapsOutAndIn) {
  PagedKvOptions some = options(4);
  some.swap_blocks = 3;
  PagedKv kv(some);
  const SequenceId a = opened(kv, tokens(10));
  const SequenceId b = *kv.open();
  EXPECT_TRUE(kv.can_swap_out(a));
  ASSERT_TRUE(kv.swap_out(a).ok());
  EXPECT_EQ(kv.take_copies(),
            (std::vector<KvCopy>{
                {KvCopyKind::kToHost, 0, 2, 0}, {KvCopyKind::kToHost, 0, 1, 1}, {KvCopyKind::kToHost, 0, 0, 2}}));
  EXPECT_TRUE(kv.swapped(a));
  EXPECT_EQ(kv.length(a), 10);
  EXPECT_EQ(kv.num_held(a), 3);
  EXPECT_EQ(kv.free_blocks(), 4);
  EXPECT_INTEGRITY(kv);
  append(kv, b, tokens(9, 900));  // takes the two free blocks and evicts the suffix, block 1
  EXPECT_EQ(kv.swap_in(a).code(), StatusCode::kResourceExhausted);
  EXPECT_INTEGRITY(kv);
  kv.close(b);
  ASSERT_TRUE(kv.swap_in(a).ok());
  EXPECT_EQ(table(kv, a)[0], 0);
  EXPECT_EQ(kv.take_copies().size(), 2U);
  EXPECT_EQ(kv.stats().swapped_in, 2);
  EXPECT_EQ(kv.length(a), 10);
  EXPECT_INTEGRITY(kv);
  ASSERT_TRUE(kv.swap_out(a).ok());
  kv.close(a);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, RefusesToSwapMoreThanTheHostHolds) {
  PagedKvOptions some = options(4);
  some.swap_blocks = 1;
  PagedKv kv(some);
  const SequenceId a = opened(kv, tokens(5));
  EXPECT_FALSE(kv.can_swap_out(a));
  EXPECT_EQ(kv.swap_out(a).message(), "the swap space of 1 blocks has no room for a sequence of 5 tokens");
  EXPECT_FALSE(kv.swapped(a));
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, RecurrentStateIsFoundAtCheckpoints) {
  PagedKvOptions some = options(16);
  some.num_checkpoints = 2;
  PagedKv kv(some);
  const SequenceId a = opened(kv, tokens(8));
  EXPECT_TRUE(kv.save_checkpoint(a));
  EXPECT_FALSE(kv.save_checkpoint(a));
  append(kv, a, tokens(8, 108));
  EXPECT_EQ(kv.take_copies(), (std::vector<KvCopy>{{KvCopyKind::kSaveState, 0, a, 0}}));
  EXPECT_EQ(kv.shortest_truncation(a), 16);
  const SequenceId b = *kv.open();
  EXPECT_EQ(kv.attach_prefix(b, tokens(16)), 8);  // 12 tokens have blocks, 8 have a state
  EXPECT_EQ(kv.take_copies(), (std::vector<KvCopy>{{KvCopyKind::kRestoreState, 0, 0, b}}));
  EXPECT_TRUE(kv.save_checkpoint(a));
  const SequenceId c = *kv.fork(b);
  append(kv, c, {1, 2, 3, 4});
  EXPECT_TRUE(kv.save_checkpoint(c));  // the oldest goes
  EXPECT_EQ(kv.take_copies(), (std::vector<KvCopy>{{KvCopyKind::kSaveState, 0, a, 1},
                                                   {KvCopyKind::kForkState, 0, b, c},
                                                   {KvCopyKind::kSaveState, 0, c, 0}}));
  kv.close(b);
  const SequenceId d = *kv.open();
  EXPECT_EQ(kv.attach_prefix(d, tokens(16)), 0);
  EXPECT_EQ(kv.attach_prefix(d, tokens(17)), 16);
  EXPECT_INTEGRITY(kv);
}

TEST(PagedKv, ReportsBlocksForTheStore) {
  PagedKvOptions some = options(2);
  some.report_published = true;
  PagedKv kv(some);
  const SequenceId a = opened(kv, tokens(8));
  const std::vector<PublishedBlock> published = kv.take_published();
  ASSERT_EQ(published.size(), 2U);
  const std::vector<BlockHash> hashes = kv.prefix_hashes(a, tokens(8));
  EXPECT_EQ(published[0].hash, hashes[0]);
  EXPECT_EQ(published[0].parent, BlockHash{});
  EXPECT_EQ(published[1].hash, hashes[1]);
  EXPECT_EQ(published[1].parent, hashes[0]);
  EXPECT_EQ(published[1].block, 1);
  EXPECT_EQ(published[1].tokens, tokens(4, 104));
  EXPECT_TRUE(kv.take_published().empty());
  // What was evicted before it was asked for is not reported.
  kv.close(a);
  const SequenceId b = opened(kv, tokens(4, 300));
  kv.close(b);
  kv.close(opened(kv, tokens(8, 600)));
  for (const PublishedBlock& block : kv.take_published())
    EXPECT_GE(block.tokens[0], 600);
}

}  // namespace
}  // namespace mlxr
