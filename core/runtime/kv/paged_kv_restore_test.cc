// PagedKv and BlockStore as an engine joins them: what one cache computed is found by another after a restart.

#include <numeric>

#include <gtest/gtest.h>

#include "core/runtime/kv/block_store.h"
#include "core/runtime/kv/paged_kv.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using Ids = std::vector<std::int32_t>;
using Bytes = std::vector<std::byte>;

constexpr std::int64_t kBlock = 4;

// A cache with a storage of one byte a token, which holds the token's id.
class Engine {
 public:
  explicit Engine(const std::string& folder)
      : kv_({.groups = {{.num_blocks = 16}},
             .block_tokens = kBlock,
             .max_length = 64,
             .max_sequences = 2,
             .report_published = true}),
        storage_(16 * kBlock) {
    auto store = BlockStore::open({.folder = folder, .fingerprint = "one byte a token"});
    EXPECT_TRUE(store.ok()) << store.status().message();
    store_ = std::move(*store);
  }

  // Runs the prompt; returns the tokens that did not have to be computed.
  std::int64_t run(const Ids& prompt) {
    const SequenceId id = *kv_.open();
    std::int64_t known = kv_.attach_prefix(id, prompt);
    known = restore(id, prompt, known);
    for (auto position = static_cast<std::size_t>(known); position < prompt.size(); ++position) {
      EXPECT_TRUE(kv_.extend(id, 1).ok());
      cell(id, position) = static_cast<std::byte>(prompt[position]);
      kv_.commit(id, std::span(prompt).subspan(position, 1));
    }
    for (std::size_t position = 0; position < prompt.size(); ++position)
      EXPECT_EQ(cell(id, position), static_cast<std::byte>(prompt[position])) << position;
    for (const PublishedBlock& block : kv_.take_published()) {
      const auto bytes = std::span(storage_).subspan(static_cast<std::size_t>(block.block * kBlock), kBlock);
      store_->put({block.hash, block.group}, block.tokens, block.parent, {bytes.begin(), bytes.end()});
    }
    kv_.close(id);
    store_->flush();
    const Status integrity = kv_.check_integrity();
    EXPECT_TRUE(integrity.ok()) << integrity.message();
    return known;
  }
  BlockStore& store() { return *store_; }

 private:
  std::int64_t restore(SequenceId id, const Ids& prompt, std::int64_t known) {
    const std::vector<BlockHash> hashes = kv_.prefix_hashes(id, std::span(prompt).first(prompt.size() - 1));
    for (auto block = static_cast<std::size_t>(known / kBlock); block < hashes.size(); ++block) {
      const auto tokens = std::span(prompt).subspan(block * kBlock, kBlock);
      const BlockHash parent = block == 0 ? BlockHash{} : hashes[block - 1];
      Bytes payload(kBlock);
      if (!store_->read({hashes[block], 0}, tokens, parent, payload)) break;
      EXPECT_TRUE(kv_.extend(id, kBlock).ok());
      for (std::size_t i = 0; i < payload.size(); ++i)
        cell(id, block * kBlock + i) = payload[i];
      kv_.commit(id, tokens);
      known += kBlock;
    }
    return known;
  }
  std::byte& cell(SequenceId id, std::size_t position) {
    return storage_[static_cast<std::size_t>(kv_.blocks(id)[position / kBlock]) * kBlock + position % kBlock];
  }

  PagedKv kv_;
  Bytes storage_;
  std::unique_ptr<BlockStore> store_;
};

TEST(PagedKvRestore, FindsAPromptAfterARestart) {
  const test::TempDir dir;
  Ids prompt(22);
  std::iota(prompt.begin(), prompt.end(), 1);
  {
    Engine first(dir.path("kv"));
    EXPECT_EQ(first.run(prompt), 0);
    EXPECT_EQ(first.run(prompt), 20);
    EXPECT_EQ(first.store().stats().written, 5U);
    EXPECT_EQ(first.store().stats().hits, 0U);  // the second run found all in memory
  }
  Engine second(dir.path("kv"));
  Ids other = prompt;
  other[9] = 99;
  EXPECT_EQ(second.run(other), 8);
  EXPECT_EQ(second.run(prompt), 20);
  EXPECT_EQ(second.store().stats().hits, 5U);
  EXPECT_EQ(second.store().stats().written, 3U);
}

TEST(PagedKvRestore, LeavesTheLastTokenToBeComputed) {
  const test::TempDir dir;
  Ids prompt(8, 3);
  { Engine(dir.path("kv")).run(prompt); }
  EXPECT_EQ(Engine(dir.path("kv")).run(prompt), 4);
}

}  // namespace
}  // namespace mlxr
