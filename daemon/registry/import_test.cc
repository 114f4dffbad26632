#include "daemon/registry/import.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "daemon/registry/create.h"
#include "daemon/registry/database.h"
#include "daemon/registry/store_test_folder.h"
#include "daemon/registry/store_test_models.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

class ImportTest : public testing::Test {
 protected:
  ImportTest()
      : database_(std::move(Database::open(folder_ / "registry.db")).value()),
        catalog_(open_store(folder_ / "models")) {}

  std::unique_ptr<Catalog> open_store(const std::string& models) {
    return std::move(Catalog::open(*database_, {.models_folder = models, .include_model_folders = false})).value();
  }
  std::vector<std::string> import(const std::string& path, const std::string& name = {}) {
    auto report = import_models(*catalog_, path, name);
    EXPECT_TRUE(report.ok()) << report.status().message();
    if (!report.ok()) return {};
    problems_ = report->problems;
    std::sort(report->names.begin(), report->names.end());
    return report->names;
  }

  StoreTestFolder folder_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Catalog> catalog_;
  std::vector<std::string> problems_;
};

TEST(QuantizationInName, LastPart) {
  const struct {
    const char* name;
    const char* quantization;
  } kCases[] = {{"model-Q4_K_M.gguf", "Q4_K_M"},
                {"model.q4_k_m-00001-of-00002.gguf", "Q4_K_M"},
                {"qwen2.5-0.5b-instruct-iq2_xxs.gguf", "IQ2_XXS"},
                {"m-F16.gguf", "F16"},
                {"m-bf16.gguf", "BF16"},
                {"m-mxfp4.gguf", "MXFP4"},
                {"Q4_0.gguf", ""},
                {"model.gguf", ""},
                {"model-Quick.gguf", ""},
                {"model-Q9_0.gguf", ""},
                {"", ""}};
  for (const auto& row : kCases)
    EXPECT_EQ(quantization_in_name(row.name), row.quantization) << row.name;
}

TEST_F(ImportTest, OneFileAndASplitOne) {
  const std::string file = folder_ / "My Model (v2)-Q4_K_M.gguf";
  write_test_file(file, tiny_gguf());
  EXPECT_EQ(import(file), std::vector<std::string>{"My-Model-v2:Q4_K_M"});
  EXPECT_EQ(catalog_->resolve("my-model-v2:q4_k_m")->path, file);
  EXPECT_EQ(import(file, "me/other"), std::vector<std::string>{"me/other:latest"});
  EXPECT_EQ(import(test::fixture("io/split-00003-of-00004.gguf")), std::vector<std::string>{"split:latest"});
  EXPECT_TRUE(catalog_->resolve("split")->path.ends_with("io/split-00001-of-00004.gguf"));
  EXPECT_TRUE(catalog_->blobs().list().empty());
}

TEST_F(ImportTest, AHuggingFaceFolder) {
  EXPECT_EQ(import(test::fixture("hf/llama")), std::vector<std::string>{"llama:latest"});
  const auto record = catalog_->resolve("llama");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->details.format, "safetensors");
  EXPECT_EQ(record->path, test::fixture("hf/llama"));
}

TEST_F(ImportTest, AnOllamaStore) {
  const auto theirs = open_store(folder_ / "ollama");
  const std::string blob = *theirs->blobs().put(tiny_gguf());
  for (const char* name : {"llama3:8b", "me/tuned"}) {
    ASSERT_TRUE(
        create_model(*theirs, {.model = name, .files = {{"m.gguf", blob}}, .system = std::string("of ") + name}, {})
            .ok());
  }
  write_test_file(folder_ / "ollama/manifests/registry.ollama.ai/library/broken/latest", "{");
  ASSERT_TRUE(create_model(*catalog_, {.model = "me/tuned", .from = theirs->blobs().path(blob)}, {}).ok());
  EXPECT_EQ(import(folder_ / "ollama"), std::vector<std::string>{"llama3:8b"});
  ASSERT_EQ(problems_.size(), 2U);  // the broken one, and the name that is taken
  const auto record = catalog_->resolve("llama3:8b");
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->system, "of llama3:8b");
  EXPECT_EQ(record->path, theirs->blobs().path(blob));
  EXPECT_EQ(record->origin, ModelOrigin::kImported);

  ASSERT_TRUE(theirs->blobs().remove(blob).ok());
  const auto gone = catalog_->resolve("llama3:8b");
  EXPECT_EQ(gone.status().code(), StatusCode::kNotFound);
  EXPECT_NE(gone.status().message().find("imported from"), std::string::npos);
}

TEST_F(ImportTest, AnLmStudioFolder) {
  const std::string root = folder_ / "lm/models";
  write_test_file(root + "/publisher/Repo-GGUF/repo-Q4_K_M.gguf", tiny_gguf());
  write_test_file(root + "/publisher/Repo-GGUF/repo-Q8_0.gguf", tiny_gguf("b"));
  write_test_file(root + "/publisher/Repo-GGUF/mmproj-repo-f16.gguf", tiny_gguf("eyes", "clip"));
  write_test_file(root + "/publisher/notes/readme.txt", "x");
  EXPECT_EQ(import(root), (std::vector<std::string>{"publisher/Repo-GGUF:Q4_K_M", "publisher/Repo-GGUF:Q8_0"}));
  const auto record = catalog_->resolve("publisher/repo-gguf:q8_0");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->projector_paths.size(), 1U);
}

TEST_F(ImportTest, AHuggingFaceCache) {
  const std::string hub = folder_ / "huggingface/hub";
  const std::string gguf = hub + "/models--org--Tiny-GGUF";
  write_test_file(gguf + "/blobs/abc", tiny_gguf());
  write_test_file(gguf + "/refs/main", "rev2\n");
  fs::create_directories(gguf + "/snapshots/rev1");
  fs::create_directories(gguf + "/snapshots/rev2");
  fs::create_symlink("../../blobs/abc", gguf + "/snapshots/rev2/tiny-Q4_0.gguf");
  const std::string folder = hub + "/models--org--plain/snapshots/r";
  fs::create_directories(fs::path(folder).parent_path());
  fs::copy(test::fixture("hf/llama"), folder);
  fs::create_directories(hub + "/models--org--empty/snapshots");
  EXPECT_EQ(import(folder_ / "huggingface"),
            (std::vector<std::string>{"hf.co/org/Tiny-GGUF:Q4_0", "hf.co/org/plain:latest"}));
  EXPECT_EQ(catalog_->resolve("hf.co/org/tiny-gguf:Q4_0")->path, gguf + "/snapshots/rev2/tiny-Q4_0.gguf");
  fs::remove(gguf + "/blobs/abc");
  EXPECT_EQ(catalog_->resolve("hf.co/org/tiny-gguf:Q4_0").status().code(), StatusCode::kNotFound);
}

TEST_F(ImportTest, WhatHoldsNoModel) {
  EXPECT_EQ(find_models(folder_ / "none").status().code(), StatusCode::kNotFound);
  write_test_file(folder_ / "text/x.txt", "x");
  EXPECT_EQ(find_models(folder_ / "text").status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(find_models(folder_ / "text/x.txt").ok());
  write_test_file(folder_ / "two/a.gguf", tiny_gguf());
  write_test_file(folder_ / "two/b.gguf", "not a model");
  EXPECT_EQ(import_models(*catalog_, folder_ / "two", "one").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(import(folder_ / "two"), std::vector<std::string>{"a:latest"});
  EXPECT_EQ(problems_.size(), 1U);
}

}  // namespace
}  // namespace mlxr
