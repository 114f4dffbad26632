#include "daemon/registry/transfer/part_table.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::read_file;
using test::TempDir;
using test::write_file;

TEST(PartTable, PlansFewPartsForShortFilesAndCoversAll) {
  struct Case {
    std::uint64_t size;
    std::size_t parts;
  };
  constexpr std::uint64_t kMin = 100;
  constexpr std::uint64_t kMax = 1000;
  for (const Case& test :
       {Case{1, 1}, Case{100, 1}, Case{101, 2}, Case{1600, 16}, Case{1601, 16}, Case{16'000, 16}, Case{20'000, 20}}) {
    const auto parts = PartTable::plan(test.size, kMin, kMax, 16);
    EXPECT_EQ(parts.size(), test.parts) << test.size;
    std::uint64_t end = 0;
    for (const Part& part : parts) {
      EXPECT_EQ(part.offset, end);
      EXPECT_LE(part.size, kMax);
      end += part.size;
    }
    EXPECT_EQ(end, test.size);
  }
  // A file of any length has a table of bounded length.
  EXPECT_LE(PartTable::plan(std::uint64_t{1} << 62, 1, 1, 1).size(), 2049U);
}

TEST(PartTable, RemembersWhatWasCounted) {
  const TempDir folder;
  const PartTableKey key{.size = 1000, .validator = "\"a\""};
  {
    PartTable table(folder.path("t"));
    ASSERT_TRUE(table.reset(key, PartTable::plan(1000, 100, 300, 4)).ok());
    ASSERT_TRUE(table.advance(1, 77).ok());
    ASSERT_TRUE(table.advance(3, 250).ok());
    ASSERT_TRUE(table.split(1, 100).ok());
    ASSERT_TRUE(table.advance(4, 5).ok());
    // Not closed in any way: what a killed process leaves.
    PartTable other(folder.path("t"));
    ASSERT_TRUE(other.load(key));
    EXPECT_EQ(other.done_bytes(), 77U + 250U + 5U);
    EXPECT_EQ(other.parts().size(), 5U);
    EXPECT_EQ(other.parts()[1].left(), 250U - 77U - 100U);
    EXPECT_FALSE(other.complete());
  }
  PartTable table(folder.path("t"));
  EXPECT_FALSE(table.load({.size = 1000, .validator = "\"b\""}));
  EXPECT_FALSE(table.load({.size = 1001, .validator = "\"a\""}));
  EXPECT_TRUE(table.load(key));
  ASSERT_TRUE(table.restart(3).ok());
  EXPECT_EQ(table.done_bytes(), 82U);
}

TEST(PartTable, AfterACrashOfTheMachineBelievesOnlyWhatWasOnDisk) {
  const TempDir folder;
  const PartTableKey key{.size = 1000, .validator = {}};
  PartTable table(folder.path("t"));
  ASSERT_TRUE(table.reset(key, PartTable::plan(1000, 500, 500, 2)).ok());
  ASSERT_TRUE(table.advance(0, 100).ok());
  ASSERT_TRUE(table.mark_synced().ok());
  ASSERT_TRUE(table.advance(0, 50).ok());
  std::string bytes = read_file(folder.path("t"));
  bytes[45] = static_cast<char>(bytes[45] ^ 1);  // within the hash that names the boot
  write_file(folder.path("t"), bytes);
  ASSERT_TRUE(table.load(key));
  EXPECT_EQ(table.done_bytes(), 100U);
}

TEST(PartTable, RefusesWhatIsNotItsOwn) {
  const TempDir folder;
  const PartTableKey key{.size = 1000, .validator = {}};
  PartTable table(folder.path("t"));
  EXPECT_FALSE(table.load(key));
  ASSERT_TRUE(table.reset(key, PartTable::plan(1000, 500, 500, 2)).ok());
  const std::string good = read_file(folder.path("t"));
  for (std::size_t length = 0; length < good.size(); ++length) {
    write_file(folder.path("t"), good.substr(0, length));
    EXPECT_FALSE(table.load(key)) << length;
  }
  // Any bit of the parts' places: a table is right or it is none.
  for (std::size_t at = 72; at < good.size(); ++at) {
    const bool is_count = at >= 80 && (at - 80) % 32 >= 16;
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    write_file(folder.path("t"), bytes);
    const bool loaded = table.load(key);
    EXPECT_FALSE(loaded && !is_count) << at;
    for (const Part& part : table.parts())
      EXPECT_LE(part.done, part.size);
  }
}

}  // namespace
}  // namespace mlxr
