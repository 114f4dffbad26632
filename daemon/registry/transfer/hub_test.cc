// Pulls from a hub: which files make a model, and how they come.

#include <filesystem>

#include <gtest/gtest.h>

#include "daemon/registry/folder_view.h"
#include "daemon/registry/manifest_store.h"
#include "daemon/registry/transfer/hub_client.h"
#include "daemon/registry/transfer/hub_files.h"
#include "daemon/registry/transfer/transfer_test_server.h"

namespace mlxr::test {
namespace {

std::vector<HubFile> files_named(const std::vector<std::string>& names) {
  std::vector<HubFile> files;
  for (const std::string& name : names)
    files.push_back({.path = name, .size = 1});
  return files;
}

std::vector<std::string> names_of(const HubChoice& choice) {
  std::vector<std::string> names;
  for (const HubFile& file : choice.files)
    names.push_back(file.path);
  return names;
}

struct GgufCase {
  std::vector<std::string> files;
  const char* tag;
  std::vector<std::string> chosen;  // empty: none
  const char* quantization;
};

TEST(HubFiles, GgufByQuantisation) {
  const std::vector<std::string> usual = {"README.md", "M-1B-Q2_K.gguf", "M-1B-Q4_K_M.gguf", "M-1B-Q8_0.gguf",
                                          "mmproj-M-1B-f16.gguf"};
  const std::vector<std::string> split = {"Q8_0/M-Q8_0-00002-of-00002.gguf", "Q8_0/M-Q8_0-00001-of-00002.gguf",
                                          "M-Q4_0.gguf"};
  const std::vector<GgufCase> cases = {
      {usual, "latest", {"M-1B-Q4_K_M.gguf"}, "Q4_K_M"},
      {usual, "", {"M-1B-Q4_K_M.gguf"}, "Q4_K_M"},
      {usual, "q8_0", {"M-1B-Q8_0.gguf"}, "Q8_0"},
      {usual, "M-1B-Q2_K.gguf", {"M-1B-Q2_K.gguf"}, "Q2_K"},
      {usual, "K_M", {}, ""},
      {usual, "f16", {}, ""},
      {split, "Q8_0", {"Q8_0/M-Q8_0-00001-of-00002.gguf", "Q8_0/M-Q8_0-00002-of-00002.gguf"}, "Q8_0"},
      {split, "latest", {"M-Q4_0.gguf"}, "Q4_0"},
      {{"only-one.gguf"}, "latest", {"only-one.gguf"}, ""},
      {{"M-UD-Q4_K_M.gguf", "M-Q4_K_M.gguf"}, "Q4_K_M", {"M-Q4_K_M.gguf"}, "Q4_K_M"},
      {{"M-UD-Q4_K_M.gguf", "M-Q4_K_M.gguf"}, "UD-Q4_K_M", {"M-UD-Q4_K_M.gguf"}, "Q4_K_M"},
      {{"BF16/model.gguf", "Q8_0/model.gguf"}, "bf16", {"BF16/model.gguf"}, "BF16"},
  };
  for (const GgufCase& test : cases) {
    SCOPED_TRACE(test.tag);
    const auto choice = choose_gguf(files_named(test.files), test.tag, "a/b");
    ASSERT_EQ(choice.ok(), !test.chosen.empty());
    if (!choice.ok()) {
      EXPECT_EQ(choice.status().code(), StatusCode::kNotFound);
      EXPECT_NE(choice.status().message().find("Q4_K_M"), std::string::npos) << choice.status().message();
      continue;
    }
    EXPECT_EQ(names_of(*choice), test.chosen);
    EXPECT_EQ(choice->quantization, test.quantization);
  }
  EXPECT_EQ(choose_gguf(files_named(usual), "Q8_0", "a/b")->notes.size(), 1U);
  EXPECT_EQ(choose_gguf(files_named({"M-Q8_0-00001-of-00002.gguf"}), "Q8_0", "a/b").status().code(),
            StatusCode::kCorrupt);
}

TEST(HubFiles, SafetensorsByIndex) {
  const auto files =
      files_named({"config.json", "tokenizer.json", "README.md", "pytorch_model.bin", "a.safetensors", "b.safetensors",
                   "model.safetensors.index.json", "original/consolidated.safetensors"});
  const auto choice = choose_safetensors(files, R"({"weight_map":{"x":"a.safetensors","y":"a.safetensors"}})", "a/b");
  ASSERT_TRUE(choice.ok()) << choice.status().message();
  EXPECT_EQ(names_of(*choice), (std::vector<std::string>{"config.json", "tokenizer.json",
                                                         "model.safetensors.index.json", "a.safetensors"}));
  for (const char* index : {"{}", "[]", R"({"weight_map":{"x":"../evil"}})", R"({"weight_map":{"x":3}})",
                            R"({"weight_map":{"x":"not-there.safetensors"}})"}) {
    EXPECT_EQ(choose_safetensors(files, index, "a/b").status().code(), StatusCode::kCorrupt) << index;
  }
  EXPECT_EQ(choose_safetensors(files_named({"config.json", "pytorch_model.bin"}), "", "a/b").status().code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(choose_safetensors(files_named({"README.md"}), "", "a/b").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(choose_safetensors(files_named({"model.safetensors"}), "", "a/b").status().code(), StatusCode::kNotFound);
}

TEST(HubFiles, TreesFromOutside) {
  const auto files = parse_hub_tree(
      R"([{"type":"directory","path":"x"},{"type":"file","path":"../../etc/passwd","size":1},
          {"type":"file","path":"a.gguf","size":5,"oid":"1","lfs":{"oid":")" +
          std::string(64, 'a') + R"(","size":5}}])",
      "here");
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ((*files)[0].sha256, "sha256:" + std::string(64, 'a'));
  for (const char* broken : {"", "{}", "[3]", R"([{"type":"file","path":"a","size":-1}])",
                             R"([{"type":"file","path":"a","size":1,"lfs":{"oid":"12"}}])"}) {
    EXPECT_EQ(parse_hub_tree(broken, "here").status().code(), StatusCode::kCorrupt) << broken;
  }
}

// `printf abc | git hash-object --stdin`
TEST(HubFiles, NamesOfGit) {
  EXPECT_EQ(git_blob_of("abc"), "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
}

class HubPullTest : public TransferTest {
 protected:
  void put(const std::string& file, std::string_view bytes) { server().put_file("hub/me/m/main/" + file, bytes); }
  Manifest manifest(const std::string& name) {
    const auto read = ManifestStore(models()).read(*parse_model_name(name));
    EXPECT_TRUE(read.ok()) << read.status().message();
    return read.ok() ? *read : Manifest();
  }
};

TEST_F(HubPullTest, GgufOfOneFile) {
  const std::string weights = random_bytes(500'000, 20);
  put("m-Q4_K_M.gguf", weights);
  put("m-Q8_0.gguf", random_bytes(3000, 21));
  put("README.md", "hello");
  const Status status = pull("hf.co/me/m:Q4_K_M");
  ASSERT_TRUE(status.ok()) << status.message();
  const Manifest got = manifest("hf.co/me/m:Q4_K_M");
  ASSERT_EQ(got.layers.size(), 1U);
  EXPECT_EQ(got.layers[0].media_type, media::kModel);
  EXPECT_EQ(got.layers[0].digest, digest_of(weights));
  EXPECT_EQ(read_file(blob_path(digest_of(weights))), weights);
  EXPECT_TRUE(std::filesystem::exists(blob_path(got.config.digest)));
  EXPECT_TRUE(pull("huggingface.co/me/m").ok());
  EXPECT_EQ(pull("hf.co/me/m:Q3_K_S").code(), StatusCode::kNotFound);
  EXPECT_EQ(pull("hf.co/me/nothing").code(), StatusCode::kNotFound);
}

TEST_F(HubPullTest, ShardedGgufBecomesAFolder) {
  std::vector<std::string> shards;
  for (int i = 1; i <= 3; ++i) {
    shards.push_back(random_bytes(150'000, 30 + static_cast<std::uint64_t>(i)));
    put("Q8_0/big-Q8_0-0000" + std::to_string(i) + "-of-00003.gguf", shards.back());
  }
  const Status status = pull("hf.co/me/m:Q8_0");
  ASSERT_TRUE(status.ok()) << status.message();
  const Manifest got = manifest("hf.co/me/m:Q8_0");
  ASSERT_EQ(got.layers.size(), 3U);
  const std::string folder = folder_view_path(models(), got);
  for (int i = 1; i <= 3; ++i) {
    const std::string name = "big-Q8_0-0000" + std::to_string(i) + "-of-00003.gguf";
    EXPECT_EQ(read_file(folder + "/" + name), shards[static_cast<std::size_t>(i) - 1]) << name;
  }
  const auto opens = folder_view_model(models(), got);
  ASSERT_TRUE(opens.ok());
  EXPECT_EQ(std::filesystem::path(*opens).filename(), "big-Q8_0-00001-of-00003.gguf");
}

TEST_F(HubPullTest, SafetensorsWithTokenPagesAndRevision) {
  const std::string one = random_bytes(200'000, 40);
  const std::string two = random_bytes(200'000, 41);
  for (const char* revision : {"main", "v2"}) {
    const std::string folder = "hub/me/m/" + std::string(revision) + "/";
    server().put_file(folder + "config.json", "{\"model_type\":\"llama\"}" + std::string(revision));
    server().put_file(folder + "tokenizer.json", random_bytes(5000, 42));
    server().put_file(folder + "model-00001-of-00002.safetensors", one);
    server().put_file(folder + "model-00002-of-00002.safetensors", two);
    server().put_file(folder + "model.safetensors.index.json",
                      R"({"weight_map":{"a":"model-00001-of-00002.safetensors",
                                        "b":"model-00002-of-00002.safetensors"}})");
    server().put_file(folder + "pytorch_model.bin", "no");
  }
  server().control({{"hub", {{"token", "hub-secret"}, {"page_size", 2}}}});
  EXPECT_EQ(pull("hf.co/me/m").code(), StatusCode::kNotFound);
  server().control({{"hub", {{"token", "hub-secret"}, {"page_size", 2}}}});
  TransferSettings logged_in = settings();
  logged_in.hub_token = "hub-secret";
  const Status status = pull("hf.co/me/m:v2", logged_in);
  ASSERT_TRUE(status.ok()) << status.message();
  const Manifest got = manifest("hf.co/me/m:v2");
  const std::string folder = folder_view_path(models(), got);
  EXPECT_EQ(read_file(folder + "/config.json"), "{\"model_type\":\"llama\"}v2");
  EXPECT_EQ(read_file(folder + "/model-00001-of-00002.safetensors"), one);
  EXPECT_EQ(read_file(folder + "/model-00002-of-00002.safetensors"), two);
  EXPECT_FALSE(std::filesystem::exists(folder + "/pytorch_model.bin"));
  // Linked, not copied.
  EXPECT_TRUE(std::filesystem::equivalent(folder + "/model-00001-of-00002.safetensors", blob_path(digest_of(one))));
  for (const Json& request : server().requests("/")) {
    EXPECT_EQ(request["headers"].contains("Authorization"), request["server"] == "main") << request.dump();
  }
  const Status no_revision = pull("hf.co/me/m:v3", logged_in);
  EXPECT_EQ(no_revision.code(), StatusCode::kNotFound);
  EXPECT_NE(no_revision.message().find("v3"), std::string::npos);
}

TEST_F(HubPullTest, SaysWhatToDoAboutGatesAndChangedFiles) {
  put("config.json", "{}");
  put("model.safetensors", random_bytes(2000, 50));
  server().control({{"hub", {{"gated", true}}}});
  const Status gated = pull("hf.co/me/m");
  EXPECT_EQ(gated.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(gated.message().find("accept its terms"), std::string::npos) << gated.message();
  server().rule({{"match", "config.json"}, {"fault", "corrupt"}, {"at", 0}, {"times", -1}});
  EXPECT_EQ(pull("hf.co/me/m").code(), StatusCode::kCorrupt);
  server().rule({{"match", "model.safetensors"}, {"fault", "corrupt"}, {"at", 0}, {"times", -1}});
  EXPECT_EQ(pull("hf.co/me/m").code(), StatusCode::kCorrupt);
}

}  // namespace
}  // namespace mlxr::test
