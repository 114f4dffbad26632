#include "daemon/registry/catalog.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <gtest/gtest.h>

#include "daemon/registry/create.h"
#include "daemon/registry/database.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/registry/store_test_folder.h"
#include "daemon/registry/store_test_models.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

class CatalogTest : public testing::Test {
 protected:
  CatalogTest()
      : database_(std::move(Database::open(folder_ / "registry.db")).value()),
        catalog_(
            std::move(Catalog::open(*database_, {.models_folder = folder_ / "models", .include_model_folders = false}))
                .value()) {}

  std::vector<std::string> names() {
    auto models = catalog_->list();
    EXPECT_TRUE(models.ok()) << models.status().message();
    std::vector<std::string> result;
    for (const ModelSummary& model : *models)
      result.push_back(model.name + (model.problem.empty() ? "" : " !"));
    std::sort(result.begin(), result.end());
    return result;
  }
  // A manifest as a pull leaves it.
  Manifest store_model(const std::string& name, const std::string& gguf,
                       std::vector<std::pair<std::string_view, std::string>> texts) {
    auto& blobs = catalog_->blobs();
    std::vector<Layer> layers;
    layers.push_back({std::string(media::kModel), *blobs.put(gguf), gguf.size()});
    for (const auto& [type, text] : texts)
      layers.push_back({std::string(type), *blobs.put(text), text.size()});
    ManifestConfig config;
    config.model_family = "llama";
    config.model_type = "8.0B";
    config.file_type = "Q4_K_M";
    const std::string bytes = write_manifest_config(config, layers);
    Manifest manifest = make_manifest({std::string(media::kConfig), *blobs.put(bytes), bytes.size()}, layers);
    EXPECT_TRUE(catalog_->manifests().write(*parse_model_name(name), manifest).ok());
    return manifest;
  }

  StoreTestFolder folder_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, ResolvesAManifestWithItsTexts) {
  const Manifest manifest =
      store_model("me/tiny:v1", tiny_gguf(),
                  {{media::kTemplate, "{{ .Prompt }}"},
                   {media::kSystem, "Be brief."},
                   {media::kParams, R"({"stop":["<|x|>"],"temperature":0.5,"num_ctx":2048,"new":1})"},
                   {media::kLicense, "MIT"},
                   {media::kMessages, R"([{"role":"user","content":"hi"}])"}});
  const auto record = catalog_->resolve("ME/tiny:V1");
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->name, "me/tiny:v1");
  EXPECT_EQ(record->full_name, "registry.ollama.ai/me/tiny:v1");
  EXPECT_EQ(record->digest, manifest.digest);
  EXPECT_EQ(record->origin, ModelOrigin::kStore);
  EXPECT_EQ(record->path, catalog_->blobs().path(manifest.layers[0].digest));
  EXPECT_EQ(record->system, "Be brief.");
  EXPECT_EQ(record->go_template, "{{ .Prompt }}");
  EXPECT_TRUE(record->chat_template.empty());
  EXPECT_EQ(record->licenses, std::vector<std::string>{"MIT"});
  EXPECT_EQ(record->messages, (std::vector<ModelMessage>{{"user", "hi"}}));
  EXPECT_EQ(parameters_text(record->parameters),
            "num_ctx                        2048\n"
            "stop                           \"<|x|>\"\n"
            "temperature                    0.5");
  EXPECT_EQ(record->details.family, "llama");
  EXPECT_EQ(record->details.parameter_size, "8.0B");
  EXPECT_EQ(record->details.context_length, 64);
  EXPECT_TRUE(record->can("completion"));
  EXPECT_EQ(record->size_bytes, manifest.total_bytes());
  ASSERT_EQ(record->warnings.size(), 2U);
  EXPECT_NE(record->warnings[0].find("unknown parameter \"new\""), std::string::npos);
  EXPECT_NE(record->warnings[1].find("Go's template language"), std::string::npos);

  EXPECT_TRUE(catalog_->resolve("me/tiny:v1@" + manifest.digest).ok());
  EXPECT_EQ(catalog_->resolve("me/tiny:v1@sha256:" + std::string(64, '0')).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(catalog_->resolve("me/tiny").status().message(), "model \"me/tiny\" not found");
  EXPECT_EQ(catalog_->resolve("../etc/passwd").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(catalog_->resolve("a b").status().code(), StatusCode::kInvalidArgument);
}

TEST_F(CatalogTest, JinjaTemplateIsUsed) {
  store_model("j", tiny_gguf(), {{media::kTemplate, "{% for m in messages %}{{ m.content }}{% endfor %}{{ tools }}"}});
  const auto record = catalog_->resolve("j:latest");
  ASSERT_TRUE(record.ok());
  EXPECT_FALSE(record->chat_template.empty());
  EXPECT_TRUE(record->go_template.empty());
  EXPECT_TRUE(record->can("tools"));
}

TEST_F(CatalogTest, ListCopyRemove) {
  const Manifest a = store_model("a", tiny_gguf(), {{media::kSystem, "a"}});
  const Manifest b = store_model("b", tiny_gguf(), {{media::kSystem, "b"}});
  EXPECT_EQ(names(), (std::vector<std::string>{"a:latest", "b:latest"}));
  ASSERT_TRUE(catalog_->copy("a", "hf.co/me/c:Q4_0").ok());
  EXPECT_EQ(names(), (std::vector<std::string>{"a:latest", "b:latest", "hf.co/me/c:Q4_0"}));
  EXPECT_EQ(*catalog_->tags("a"), (std::vector<std::string>{"hf.co/me/c:Q4_0", "a:latest"}));
  EXPECT_EQ(catalog_->copy("none", "d").code(), StatusCode::kNotFound);
  EXPECT_EQ(catalog_->copy("a", "../d").code(), StatusCode::kInvalidArgument);

  const std::string shared = a.layers[0].digest;
  const std::string only_a = a.layers[1].digest;
  ASSERT_TRUE(catalog_->remove("a").ok());
  EXPECT_TRUE(catalog_->blobs().has(only_a));  // the copy has it
  ASSERT_TRUE(catalog_->remove("hf.co/me/C:q4_0").ok());
  EXPECT_FALSE(catalog_->blobs().has(only_a));
  EXPECT_TRUE(catalog_->blobs().has(shared));
  EXPECT_EQ(names(), std::vector<std::string>{"b:latest"});
  ASSERT_TRUE(catalog_->remove("b").ok());
  EXPECT_TRUE(catalog_->blobs().list().empty());
  EXPECT_EQ(catalog_->remove("b").code(), StatusCode::kNotFound);
}

TEST_F(CatalogTest, ProblemsAreShownAndStopNothing) {
  store_model("good", tiny_gguf(), {});
  const Manifest broken = store_model("broken", tiny_gguf("other"), {});
  ASSERT_EQ(names().size(), 2U);
  ASSERT_TRUE(catalog_->blobs().remove(broken.layers[0].digest).ok());
  write_test_file(folder_ / "models/manifests/registry.ollama.ai/library/garbage/latest", "{");
  EXPECT_EQ(names(), (std::vector<std::string>{"broken:latest !", "garbage:latest !", "good:latest"}));
  const auto record = catalog_->resolve("broken");
  EXPECT_EQ(record.status().code(), StatusCode::kNotFound);
  EXPECT_NE(record.status().message().find("is missing"), std::string::npos);
  EXPECT_EQ(catalog_->resolve("garbage").status().code(), StatusCode::kCorrupt);
  // The broken manifest might refer to any blob.
  EXPECT_EQ(catalog_->collect_garbage({}).status().code(), StatusCode::kCorrupt);
  EXPECT_TRUE(catalog_->remove("garbage").ok());
  EXPECT_TRUE(catalog_->collect_garbage({}).ok());
}

TEST_F(CatalogTest, WhatAnotherProgramWritesIsSeen) {
  store_model("a", tiny_gguf(), {});
  EXPECT_EQ(names(), std::vector<std::string>{"a:latest"});
  fs::remove_all(folder_ / "models/manifests/registry.ollama.ai/library/a");
  store_model("b", tiny_gguf(), {});
  EXPECT_EQ(names(), std::vector<std::string>{"b:latest"});
  EXPECT_EQ(catalog_->resolve("a").status().code(), StatusCode::kNotFound);
}

TEST_F(CatalogTest, ForeignFilesStayWhereTheyAre) {
  const std::string file = folder_ / "elsewhere/My Model.gguf";
  write_test_file(file, tiny_gguf());
  ASSERT_TRUE(catalog_->add_foreign({.name = "mine", .path = file, .source = "file"}).ok());
  auto record = catalog_->resolve("mine");
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->path, file);
  EXPECT_EQ(record->origin, ModelOrigin::kImported);
  ASSERT_TRUE(catalog_->copy("mine", "yours").ok());
  EXPECT_EQ(*catalog_->tags("mine"), (std::vector<std::string>{"mine:latest", "yours:latest"}));
  EXPECT_TRUE(catalog_->blobs().list().empty());

  fs::rename(file, file + ".moved");
  EXPECT_EQ(names(), (std::vector<std::string>{"mine:latest !", "yours:latest !"}));
  record = catalog_->resolve("mine");
  EXPECT_EQ(record.status().code(), StatusCode::kNotFound);
  EXPECT_NE(record.status().message().find("which is gone"), std::string::npos);
  fs::rename(file + ".moved", file);
  EXPECT_TRUE(catalog_->resolve("mine").ok());
  ASSERT_TRUE(catalog_->remove("mine").ok());
  EXPECT_TRUE(fs::exists(file));
  EXPECT_EQ(names(), std::vector<std::string>{"yours:latest"});
  EXPECT_EQ(catalog_->add_foreign({.name = "x", .path = file + "none", .source = "file"}).code(),
            StatusCode::kNotFound);
  store_model("s", tiny_gguf(), {});
  EXPECT_EQ(catalog_->add_foreign({.name = "s", .path = file, .source = "file"}).code(), StatusCode::kInvalidArgument);
}

TEST_F(CatalogTest, PathsAndModelFolders) {
  const std::string file = folder_ / "shelf/starter.gguf";
  write_test_file(file, tiny_gguf());
  const auto by_path = catalog_->resolve(file);
  ASSERT_TRUE(by_path.ok()) << by_path.status().message();
  EXPECT_EQ(by_path->origin, ModelOrigin::kPath);
  EXPECT_EQ(by_path->details.format, "gguf");
  EXPECT_EQ(catalog_->remove(file).code(), StatusCode::kInvalidArgument);

  ::setenv("MLXR_MODELS", (folder_ / "shelf").c_str(), 1);
  const auto with_folders = std::move(Catalog::open(*database_, {.models_folder = folder_ / "models"})).value();
  for (const char* name : {"starter", "starter:latest"}) {
    const auto record = with_folders->resolve(name);
    ASSERT_TRUE(record.ok()) << record.status().message();
    EXPECT_EQ(record->name, "starter");
    EXPECT_EQ(record->path, file);
  }
  const auto list = *with_folders->list();
  EXPECT_TRUE(std::any_of(list.begin(), list.end(), [](const ModelSummary& model) {
    return model.name == "starter" && model.origin == ModelOrigin::kFolder;
  }));
  ::unsetenv("MLXR_MODELS");

  const auto closed =
      std::move(Catalog::open(*database_, {.models_folder = folder_ / "models", .allow_paths = false})).value();
  EXPECT_EQ(closed->resolve(file).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(CatalogTest, AThousandModelsAreListed) {
  const Manifest manifest = store_model("m0", tiny_gguf(), {});
  for (int i = 1; i < 1000; ++i)
    write_test_file(folder_ / ("models/manifests/registry.ollama.ai/library/m" + std::to_string(i) + "/latest"),
                    manifest.bytes);
  ASSERT_EQ(catalog_->list()->size(), 1000U);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(catalog_->list()->size(), 1000U);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  RecordProperty("list_ms", std::to_string(ms));
  std::printf("list of 1,000 models: %.1f ms\n", ms);
}

}  // namespace
}  // namespace mlxr
