#include "core/runtime/kv/block_store.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::TempDir;
using Bytes = std::vector<std::byte>;
using Ids = std::vector<std::int32_t>;
namespace fs = std::filesystem;

constexpr std::size_t kPayload = 6000;  // two units of 4096 with what stands around it

BlockHash name(std::uint64_t value) {
  return Sha256().update(std::as_bytes(std::span(&value, 1))).finish();
}

// The n-th block of a chain.
struct Block {
  explicit Block(std::uint64_t n, std::uint64_t chain = 0)
      : key{name(1000 * chain + n), 0}, parent(name(1000 * chain + n - 1)), tokens(4, static_cast<std::int32_t>(n)) {
    payload.assign(kPayload, static_cast<std::byte>(n + chain));
  }
  BlockKey key;
  BlockHash parent;
  Ids tokens;
  Bytes payload;
};

std::unique_ptr<BlockStore> opened(BlockStoreOptions options) {
  auto store = BlockStore::open(std::move(options));
  EXPECT_TRUE(store.ok()) << store.status().message();
  return store.ok() ? std::move(*store) : nullptr;
}

bool put(BlockStore& store, const Block& block) {
  return store.put(block.key, block.tokens, block.parent, block.payload);
}

// Whether it is read, with the right content.
bool reads(BlockStore& store, const Block& block) {
  Bytes out(block.payload.size());
  if (!store.read(block.key, block.tokens, block.parent, out)) return false;
  EXPECT_EQ(out, block.payload);
  return true;
}

std::vector<std::string> files_in(const TempDir& dir) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  return paths;
}

class BlockStoreModes : public testing::TestWithParam<bool> {
 protected:
  BlockStoreOptions options(const std::string& folder = "kv") const {
    return {.folder = dir_.path(folder), .fingerprint = "model", .key_file = GetParam() ? dir_.path("key") : ""};
  }
  TempDir dir_;
};

TEST_P(BlockStoreModes, FindsBlocksAgainAfterARestart) {
  {
    const auto store = opened(options());
    EXPECT_TRUE(store->wants(Block(1).key, kPayload));
    EXPECT_TRUE(put(*store, Block(1)));
    EXPECT_TRUE(put(*store, Block(2)));
    store->flush();
    EXPECT_TRUE(store->contains(Block(1).key));
    EXPECT_FALSE(store->wants(Block(1).key, kPayload));
    EXPECT_TRUE(reads(*store, Block(1)));
    EXPECT_FALSE(reads(*store, Block(3)));
    EXPECT_TRUE(put(*store, Block(3)));  // written by the destructor
  }
  const auto store = opened(options());
  EXPECT_EQ(store->stats().files, 3U);
  EXPECT_EQ(store->stats().bytes, 3U * 8192);
  for (std::uint64_t n = 1; n <= 3; ++n)
    EXPECT_TRUE(reads(*store, Block(n))) << n;
  EXPECT_EQ(store->stats().hits, 3U);
  EXPECT_EQ(store->stats().misses, 0U);
}

TEST_P(BlockStoreModes, KeepsModelsGroupsAndKeysApart) {
  const auto store = opened(options());
  Block block(1);
  put(*store, block);
  block.key.group = 1;
  block.payload.assign(kPayload, std::byte{9});
  EXPECT_FALSE(store->contains(block.key));
  put(*store, block);
  store->flush();
  EXPECT_TRUE(reads(*store, block));
  EXPECT_TRUE(reads(*store, Block(1)));
  BlockStoreOptions other_model = options();
  other_model.fingerprint = "another";
  EXPECT_FALSE(reads(*opened(other_model), Block(1)));
  BlockStoreOptions other_key = options();
  other_key.key_file = dir_.path("key2");
  EXPECT_FALSE(reads(*opened(other_key), Block(1)));
}

TEST_P(BlockStoreModes, ADamagedFileIsAMiss) {
  const struct {
    const char* what;
    std::function<void(const std::string& path)> damage;
  } cases[] = {
      {"empty", [](const std::string& path) { fs::resize_file(path, 0); }},
      {"cut", [](const std::string& path) { fs::resize_file(path, fs::file_size(path) - 1); }},
      {"longer", [](const std::string& path) { fs::resize_file(path, fs::file_size(path) + 1); }},
      {"far longer", [](const std::string& path) { fs::resize_file(path, fs::file_size(path) + 100000); }},
      {"another's", [](const std::string& path) { test::write_file(path, std::string(fs::file_size(path), 'x')); }},
  };
  for (const auto& row : cases) {
    const BlockStoreOptions opts = options(row.what);
    { put(*opened(opts), Block(1)); }
    const std::vector<std::string> files = files_in(dir_);
    for (const std::string& path : files) {
      if (path.ends_with(".kv") && path.find(row.what) != std::string::npos) row.damage(path);
    }
    std::vector<std::string> warnings;
    BlockStoreOptions warned = opts;
    warned.warn = [&warnings](const std::string& line) { warnings.push_back(line); };
    const auto store = opened(warned);
    EXPECT_FALSE(reads(*store, Block(1))) << row.what;
    EXPECT_EQ(store->stats().damaged, 1U) << row.what;
    EXPECT_EQ(warnings.size(), 1U) << row.what;
    // It makes room for a good one.
    EXPECT_FALSE(store->contains(Block(1).key));
    put(*store, Block(1));
    store->flush();
    EXPECT_TRUE(reads(*store, Block(1))) << row.what;
  }
}

// Every 4th byte of the head and some of the rest; all bits are the business of block_file_test.
TEST_P(BlockStoreModes, AChangedByteIsAMiss) {
  const BlockStoreOptions opts = options();
  put(*opened(opts), Block(1));
  std::string path;
  for (const std::string& file : files_in(dir_)) {
    if (file.ends_with(".kv")) path = file;
  }
  const std::string good = test::read_file(path);
  for (std::size_t at = 0; at < good.size(); at += at < 200 ? 4 : 411) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 16);
    test::write_file(path, bad);
    const auto store = opened(opts);
    EXPECT_FALSE(reads(*store, Block(1))) << at;
    EXPECT_EQ(store->stats().damaged, 1U);
  }
  test::write_file(path, good);
  EXPECT_TRUE(reads(*opened(opts), Block(1)));
}

TEST_P(BlockStoreModes, OtherTokensOrParentAreAMiss) {
  const auto store = opened(options());
  for (int round = 0; round < 3; ++round) {
    put(*store, Block(1));
    store->flush();
    Block asked(1);
    if (round == 0) asked.tokens[3] = 99;
    if (round == 1) asked.parent = name(77);
    EXPECT_EQ(reads(*store, asked), round == 2);
  }
}

INSTANTIATE_TEST_SUITE_P(, BlockStoreModes, testing::Bool(), [](const testing::TestParamInfo<bool>& param) {
  return std::string(param.param ? "encrypted" : "plain");
});

TEST(BlockStore, NothingReadableIsOnDiskWhenEncrypted) {
  const TempDir dir;
  Block block(1);
  block.tokens = {0x41424344, 0x45464748, 0x494a4b4c, 0x4d4e4f50};
  block.payload.assign(kPayload, std::byte{'z'});
  const BlockStoreOptions options{.folder = dir.path("kv"), .fingerprint = "m", .key_file = dir.path("key")};
  put(*opened(options), block);
  for (const std::string& path : files_in(dir)) {
    const std::string text = path + test::read_file(path);
    EXPECT_EQ(text.find("DCBA"), std::string::npos);
    EXPECT_EQ(text.find("zzzz"), std::string::npos);
    EXPECT_EQ(text.find(std::string(reinterpret_cast<const char*>(block.key.hash.bytes.data()), 8)), std::string::npos);
    EXPECT_EQ(text.find(block.key.hash.hex()), std::string::npos);
    EXPECT_EQ(fs::status(path).permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none);
  }
}

TEST(BlockStore, EvictsTheLongestUnusedSuffixFirst) {
  const TempDir dir;
  const BlockStoreOptions options{.folder = dir.path("kv"), .fingerprint = "m", .max_bytes = 4 * 8192};
  const auto store = opened(options);
  for (const Block& block : {Block(1), Block(2), Block(1, 5), Block(2, 5)})
    put(*store, block);
  store->flush();
  EXPECT_TRUE(reads(*store, Block(1)));
  EXPECT_TRUE(reads(*store, Block(2)));
  put(*store, Block(1, 7));
  store->flush();
  EXPECT_FALSE(store->contains(Block(2, 5).key));
  EXPECT_TRUE(store->contains(Block(1, 5).key));
  EXPECT_TRUE(store->contains(Block(2).key));
  put(*store, Block(2, 7));
  store->flush();
  EXPECT_FALSE(store->contains(Block(1, 5).key));
  EXPECT_EQ(store->stats().evicted, 2U);
  EXPECT_EQ(store->stats().bytes, options.max_bytes);
  EXPECT_EQ(files_in(dir).size(), 4U);
}

TEST(BlockStore, AChainLongerThanTheCapKeepsItsBeginning) {
  const TempDir dir;
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m", .max_bytes = 3 * 8192});
  for (std::uint64_t n = 1; n <= 6; ++n)
    put(*store, Block(n));
  store->flush();
  for (std::uint64_t n = 1; n <= 6; ++n)
    EXPECT_EQ(reads(*store, Block(n)), n <= 3) << n;
  EXPECT_EQ(store->stats().dropped, 3U);
  EXPECT_EQ(store->stats().evicted, 0U);
}

TEST(BlockStore, ARestartKeepsTheOrderAndTheCap) {
  const TempDir dir;
  BlockStoreOptions options{.folder = dir.path("kv"), .fingerprint = "m"};
  const std::vector<Block> blocks = {Block(1), Block(2), Block(1, 5), Block(2, 5)};
  {
    const auto store = opened(options);
    for (const Block& block : blocks)
      put(*store, block);
  }
  // Times as the system would set them, an hour apart: the first chain was read last.
  for (const std::string& path : files_in(dir)) {
    const std::string bytes = test::read_file(path);
    std::int32_t token;
    std::memcpy(&token, bytes.data() + 144, sizeof token);
    const bool first_chain = std::to_integer<int>(static_cast<std::byte>(bytes[160])) == token;
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(first_chain ? 1 : 2));
  }
  options.max_bytes = 3 * 8192;
  const auto store = opened(options);
  EXPECT_EQ(store->stats().evicted, 1U);
  EXPECT_FALSE(store->contains(blocks[3].key));
  EXPECT_TRUE(store->contains(blocks[2].key));
  EXPECT_EQ(files_in(dir).size(), 3U);
}

TEST(BlockStore, ACapTooSmallForOneBlockDropsIt) {
  const TempDir dir;
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m", .max_bytes = 4096});
  put(*store, Block(1));
  store->flush();
  EXPECT_EQ(store->stats().dropped, 1U);
  EXPECT_TRUE(files_in(dir).empty());
}

TEST(BlockStore, AFullQueueDropsTheNewest) {
  const TempDir dir;
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m", .max_queued_bytes = kPayload - 1});
  EXPECT_FALSE(store->wants(Block(1).key, kPayload));
  EXPECT_FALSE(put(*store, Block(1)));
  EXPECT_EQ(store->stats().dropped, 1U);
  EXPECT_TRUE(store->wants(Block(1).key, kPayload - 1));
}

TEST(BlockStore, ForeignAndUnfinishedFilesDoNoHarm) {
  const TempDir dir;
  put(*opened({.folder = dir.path("kv"), .fingerprint = "m"}), Block(1));
  test::write_file(dir.path("kv/README"), "x");
  fs::create_directories(dir.path("kv/ab"));
  fs::create_directories(dir.path("kv/zz/yy"));
  test::write_file(dir.path("kv/ab/.tmp-old"), "x");
  fs::last_write_time(dir.path("kv/ab/.tmp-old"), fs::file_time_type::clock::now() - std::chrono::hours(5));
  test::write_file(dir.path("kv/ab/.tmp-new"), "x");
  test::write_file(dir.path("kv/ab/" + std::string(130, 'f') + ".kv"), "x");
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m"});
  EXPECT_EQ(store->stats().files, 1U);
  EXPECT_FALSE(fs::exists(dir.path("kv/ab/.tmp-old")));
  EXPECT_TRUE(fs::exists(dir.path("kv/ab/.tmp-new")));
}

TEST(BlockStore, FilesThatVanishAreMisses) {
  const TempDir dir;
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m"});
  put(*store, Block(1));
  store->flush();
  fs::remove_all(dir.path("kv"));
  EXPECT_FALSE(reads(*store, Block(1)));
  EXPECT_FALSE(store->contains(Block(1).key));
  EXPECT_EQ(store->stats().damaged, 0U);
  // Without the folder nothing can be written, which is told once.
  put(*store, Block(1));
  put(*store, Block(2));
  store->flush();
  EXPECT_EQ(store->stats().write_errors, 2U);
}

TEST(BlockStore, AFolderThatCannotBeIsAnError) {
  const TempDir dir;
  test::write_file(dir.path("file"), "x");
  EXPECT_EQ(BlockStore::open({.folder = dir.path("file"), .fingerprint = "m"}).status().message(),
            dir.path("file") + ": is not a folder");
  const auto below = BlockStore::open({.folder = dir.path("file/kv"), .fingerprint = "m"});
  EXPECT_EQ(below.status().message(), dir.path("file/kv") + ": cannot make the folder of KV blocks: Not a directory");
}

TEST(BlockStore, ADiskThatTakesNoMoreIsCountedAndToldOnce) {
  const TempDir dir;
  std::vector<std::string> warnings;
  const auto store =
      opened({.folder = dir.path("kv"), .fingerprint = "m", .warn = [&warnings](const std::string& line) {
                warnings.push_back(line);
              }});
  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 1000, old.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  put(*store, Block(1));
  put(*store, Block(2));
  store->flush();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(store->stats().write_errors, 2U);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("cannot write: File too large"), std::string::npos) << warnings[0];
  EXPECT_TRUE(files_in(dir).empty());
  EXPECT_FALSE(reads(*store, Block(1)));
  put(*store, Block(1));
  store->flush();
  EXPECT_TRUE(reads(*store, Block(1)));
}

// For the thread sanitizer: everybody at once, with eviction.
TEST(BlockStore, ManyThreadsAtOnce) {
  const TempDir dir;
  const auto store = opened({.folder = dir.path("kv"), .fingerprint = "m", .max_bytes = 20 * 8192});
  std::vector<std::thread> threads;
  for (std::uint64_t chain = 0; chain < 3; ++chain) {
    threads.emplace_back([&store, chain] {
      for (std::uint64_t n = 1; n <= 30; ++n) {
        put(*store, Block(n, chain));
        reads(*store, Block(n / 2 + 1, (chain + 1) % 3));
        (void)store->contains(Block(n).key);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  store->flush();
  const BlockStoreStats stats = store->stats();
  EXPECT_EQ(stats.written + stats.dropped, 90U);
  EXPECT_EQ(stats.hits + stats.misses, 90U);
  EXPECT_EQ(stats.damaged + stats.read_errors + stats.write_errors + stats.queued_bytes, 0U);
  EXPECT_LE(stats.bytes, 20U * 8192);
  EXPECT_EQ(files_in(dir).size(), stats.files);
}

TEST(BlockCatalog, GivesUpCirclesToo) {
  BlockCatalog catalog;
  catalog.add(name(1), name(2), 10);
  catalog.add(name(2), name(1), 10);
  catalog.add(name(3), name(3), 10);
  for (int i = 0; i < 3; ++i) {
    const auto victim = catalog.next_victim(name(9));
    ASSERT_TRUE(victim);
    catalog.remove(*victim);
  }
  EXPECT_EQ(catalog.bytes(), 0U);
  EXPECT_FALSE(catalog.next_victim(name(9)));
}

}  // namespace
}  // namespace mlxr
