#include "cli/repl/saved_chats.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;

class SavedChatsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "mlxr_chats_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    folder_ = root_ + "/chats";
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string root_, folder_;
};

TEST_F(SavedChatsTest, ComeBackAsTheyWere) {
  SavedChat chat{.model = "sprout", .system = "Be kind."};
  chat.messages.push_back({{"role", "user"}, {"content", "Hi"}});
  ASSERT_TRUE(save_chat(folder_, "first.one", chat).ok());
  const auto loaded = load_chat(folder_, "first.one");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->model, "sprout");
  EXPECT_EQ(loaded->system, "Be kind.");
  EXPECT_EQ(loaded->messages, chat.messages);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ + "/first.one.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(list_chats(folder_).size(), 1U);
  EXPECT_EQ(list_chats(folder_)[0].name, "first.one");
}

TEST_F(SavedChatsTest, RefuseOddNamesAndFiles) {
  for (const char* name : {"", "../x", ".hidden", "a/b", "a b"}) {
    EXPECT_EQ(save_chat(folder_, name, {}).code(), StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(load_chat(folder_, name).status().code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(load_chat(folder_, "none").status().code(), StatusCode::kNotFound);
  fs::create_directories(folder_);
  for (const char* text : {"[]", "{\"messages\": [1]}", "{\"messages\": [{\"role\": \"user\"}]}", "not json"}) {
    std::ofstream(folder_ + "/odd.json", std::ios::trunc) << text;
    EXPECT_FALSE(load_chat(folder_, "odd").ok()) << text;
  }
  EXPECT_TRUE(list_chats(root_ + "/none").empty());
}

}  // namespace
}  // namespace mlxr::cli
