#include "daemon/access/secret_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

TEST(SecretFile, MadeOnceForItsOwner) {
  const test::TempDir folder;
  const std::string config = folder.path("a/config");
  EXPECT_EQ(read_capability_token(config).status().code(), StatusCode::kNotFound);
  const auto made = open_capability_token(config);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_TRUE(made->reveal().starts_with("mlxr_token_"));
  EXPECT_EQ(made->reveal().size(), 11U + 43U);
  EXPECT_TRUE(read_capability_token(config)->equals(made->reveal()));
  EXPECT_TRUE(open_capability_token(config)->equals(made->reveal()));
  struct stat info {};
  ASSERT_EQ(::stat((config + "/token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(config.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  EXPECT_GE(open_server_secret(config)->reveal().size(), 32U);
  EXPECT_FALSE(open_server_secret(config)->equals(made->reveal()));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(config), {}), 2);
}

TEST(SecretFile, RefusesWhatOthersCouldKnow) {
  const test::TempDir folder;
  const std::string path = folder.path("token");
  const auto error = [&] { return open_capability_token(folder.path()).status().message(); };
  test::write_file(path, "mlxr_token_0123456789012345678901234567890123456789012\n");
  ::chmod(path.c_str(), 0644);
  EXPECT_EQ(error(), path + ": may be read by others (mode 0644); chmod 600 it if nobody has, else remove it");
  ::chmod(path.c_str(), 0600);
  EXPECT_EQ(error(), "");
  test::write_file(path, "short\n");
  EXPECT_EQ(error(), path + ": does not hold a secret of this program; remove it to have a new one made");
  test::write_file(path, "mlxr_token_0123456789012345678901234567890123456789012\nand more\n");
  EXPECT_EQ(error(), path + ": does not hold one line of a secret");
  std::filesystem::rename(path, folder.path("other"));
  std::filesystem::create_symlink(folder.path("other"), path);
  EXPECT_FALSE(error().empty());
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_EQ(error(), path + ": is not a file");
}

TEST(SecretFile, TwoThatStartAtOnceAgree) {
  const test::TempDir folder;
  std::vector<std::string> tokens(8);
  std::vector<std::thread> threads;
  for (std::string& token : tokens) {
    threads.emplace_back([&] {
      const auto opened = open_capability_token(folder.path());
      if (opened.ok()) token = opened->reveal();
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const std::string& token : tokens) {
    EXPECT_EQ(token, tokens[0]);
    EXPECT_FALSE(token.empty());
  }
  EXPECT_EQ(folder.num_files(), 1U);
}

}  // namespace
}  // namespace mlxr
