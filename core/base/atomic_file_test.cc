#include "core/base/atomic_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::TempDir;

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const TempDir dir;
  const std::string path = dir.path("out.bin");
  test::write_file(path, "old");
  auto file = AtomicFile::create(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_TRUE((*file)->write("new").ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(test::read_file(path), "old");
  ASSERT_TRUE((*file)->write(" bytes").ok());
  ASSERT_TRUE((*file)->commit().ok());
  EXPECT_EQ(test::read_file(path), "new bytes");
  EXPECT_EQ((*file)->size_bytes(), 9U);
  EXPECT_EQ(dir.num_files(), 1U);
}

TEST(AtomicFile, LeavesNothingBehindWithoutCommit) {
  const TempDir dir;
  {
    auto file = AtomicFile::create(dir.path("out.bin"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write("x").ok());
  }
  EXPECT_EQ(dir.num_files(), 0U);
}

TEST(AtomicFile, KeepsOrderAcrossItsBuffer) {
  const TempDir dir;
  std::string expected;
  auto file = AtomicFile::create(dir.path("out.bin"));
  ASSERT_TRUE(file.ok());
  for (const std::size_t size : {10UL, 300000UL, 262143UL, 2UL, 262144UL, 1UL, 0UL, 700000UL}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    ASSERT_TRUE((*file)->write(piece).ok());
    expected += piece;
  }
  ASSERT_TRUE((*file)->commit().ok());
  EXPECT_TRUE(test::read_file(dir.path("out.bin")) == expected);
}

TEST(AtomicFile, TwoForTheSameTargetDoNotMix) {
  const TempDir dir;
  auto first = AtomicFile::create(dir.path("out.bin"));
  auto second = AtomicFile::create(dir.path("out.bin"));
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE((*first)->write("first").ok());
  ASSERT_TRUE((*second)->write("second").ok());
  ASSERT_TRUE((*second)->commit().ok());
  ASSERT_TRUE((*first)->commit().ok());
  EXPECT_EQ(test::read_file(dir.path("out.bin")), "first");
}

TEST(AtomicFile, HasTheModeOfAnyNewFile) {
  const TempDir dir;
  ASSERT_TRUE(write_file_atomically(dir.path("a"), "x").ok());
  test::write_file(dir.path("b"), "x");
  struct stat a {};
  struct stat b {};
  ASSERT_EQ(::stat(dir.path("a").c_str(), &a), 0);
  ASSERT_EQ(::stat(dir.path("b").c_str(), &b), 0);
  EXPECT_EQ(a.st_mode, b.st_mode);
}

TEST(AtomicFile, NamesTheTargetInErrors) {
  const TempDir dir;
  const auto missing = AtomicFile::create(dir.path("none/out.bin"));
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(missing.status().message(), dir.path("none/out.bin") + ": cannot create: No such file or directory");
  const auto folder = AtomicFile::create(dir.path());
  EXPECT_EQ(folder.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(folder.status().message(), dir.path() + ": is a folder");
}

TEST(AtomicFile, ReportsAFileThatMayNotGrow) {
  const TempDir dir;
  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 4096, old.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Status status;
  {
    auto file = AtomicFile::create(dir.path("out.bin"));
    ASSERT_TRUE(file.ok());
    status = (*file)->write(std::string(1000000, 'x'));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), dir.path("out.bin") + ": cannot write: File too large");
  EXPECT_EQ(dir.num_files(), 0U);
}

}  // namespace
}  // namespace mlxr
