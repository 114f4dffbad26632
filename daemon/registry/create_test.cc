#include "daemon/registry/create.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/base/status.h"
#include "daemon/registry/database.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/registry/store_test_folder.h"
#include "daemon/registry/store_test_models.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

class CreateTest : public testing::Test {
 protected:
  CreateTest()
      : database_(std::move(Database::open(folder_ / "registry.db")).value()),
        catalog_(
            std::move(Catalog::open(*database_, {.models_folder = folder_ / "models", .include_model_folders = false}))
                .value()) {}

  Result<ModelRecord> create(const CreateRequest& request) {
    statuses_.clear();
    return create_model(*catalog_, request, {.num_threads = 1, .progress = [this](const RegistryProgress& progress) {
                                               if (statuses_.empty() || statuses_.back() != progress.status) {
                                                 statuses_.push_back(progress.status);
                                               }
                                               return progress.status != stop_at_;
                                             }});
  }
  bool told(const std::string& beginning) const {
    return std::any_of(statuses_.begin(), statuses_.end(),
                       [&](const std::string& status) { return status.starts_with(beginning); });
  }

  StoreTestFolder folder_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Catalog> catalog_;
  std::vector<std::string> statuses_;
  std::string stop_at_ = "never";
};

TEST_F(CreateTest, FromUploadedFilesThenFromThatModel) {
  const std::string blob = *catalog_->blobs().put(tiny_gguf());
  const auto first = create({.model = "base",
                             .files = {{"tiny.gguf", blob}},
                             .template_text = "{{ .Prompt }}",
                             .system = "Be kind.",
                             .licenses = std::vector<std::string>{"MIT", "And more"},
                             .parameters = {{"stop", std::vector<std::string>{"x"}}, {"top_k", std::int64_t{5}}}});
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->path, catalog_->blobs().path(blob));
  EXPECT_EQ(first->details.quantization_level, "F32");
  EXPECT_EQ(first->details.family, "llama");
  EXPECT_EQ(first->licenses.size(), 2U);
  EXPECT_TRUE(told("parsing GGUF"));
  EXPECT_TRUE(told("using existing layer " + blob));
  EXPECT_TRUE(told("creating new layer sha256:"));
  EXPECT_EQ(statuses_[statuses_.size() - 2], "writing manifest");
  EXPECT_EQ(statuses_.back(), "success");

  const auto second = create({.model = "derived",
                              .from = "base",
                              .template_text = "{% for m in messages %}{{ m.content }}{% endfor %}",
                              .system = "",
                              .messages = std::vector<ModelMessage>{{"user", "hi"}},
                              .parameters = {{"top_k", std::int64_t{9}}}});
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(second->path, first->path);
  EXPECT_EQ(second->details.parent_model, "base:latest");
  EXPECT_TRUE(second->system.empty());
  EXPECT_TRUE(second->go_template.empty());
  EXPECT_EQ(second->licenses, first->licenses);
  EXPECT_EQ(second->messages.size(), 1U);
  EXPECT_EQ(parameters_to_json(second->parameters), R"({"stop":["x"],"top_k":9})");

  // Replacing a model frees what only it referred to.
  const std::size_t before = catalog_->blobs().list().size();
  ASSERT_TRUE(create({.model = "DERIVED", .from = "base"}).ok());
  EXPECT_LT(catalog_->blobs().list().size(), before);
  EXPECT_EQ(catalog_->list()->size(), 2U);
}

TEST_F(CreateTest, FromAHuggingFaceFolderWithQuantisation) {
  const std::string source = test::fixture("hf/llama");
  const auto plain = create({.model = "plain", .from = source});
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_EQ(plain->details.format, "gguf");
  EXPECT_TRUE(told("converting model"));
  EXPECT_TRUE(told("verifying conversion"));
  const auto quantized = create({.model = "small", .from = "plain", .quantize = "q8_0"});
  ASSERT_TRUE(quantized.ok()) << quantized.status().message();
  EXPECT_EQ(quantized->details.quantization_level, "Q8_0");
  EXPECT_LT(quantized->size_bytes, plain->size_bytes);
  EXPECT_TRUE(told("quantizing " + plain->details.quantization_level + " model to Q8_0"));
  EXPECT_TRUE(catalog_->blobs().partials().empty());

  const auto again = create({.model = "smaller", .from = "small", .quantize = "Q4_0"});
  EXPECT_EQ(again.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(again.status().message().find("quantization is only supported for"), std::string::npos);
  EXPECT_NE(create({.model = "x", .from = "plain", .quantize = "Q9"})
                .status()
                .message()
                .find("unsupported quantization type"),
            std::string::npos);
  EXPECT_EQ(catalog_->resolve("x").status().code(), StatusCode::kNotFound);
}

TEST_F(CreateTest, FromUploadedFolder) {
  std::vector<NamedBlob> files;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"}) {
    files.emplace_back(name, *catalog_->blobs().add_file(test::fixture(std::string("hf/llama/") + name)));
  }
  const auto record = create({.model = "uploaded", .files = files, .quantize = "Q8_0"});
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->details.quantization_level, "Q8_0");
  for (const auto& entry : fs::directory_iterator(folder_ / "models"))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".mlxr-create")) << entry.path();
}

TEST_F(CreateTest, AnArchitectureThatIsNotConvertedStaysAFolder) {
  const std::string source = folder_ / "src/other";
  fs::create_directories(source);
  fs::copy(test::fixture("hf/llama/model.safetensors"), source);
  write_test_file(source + "/config.json", R"({"architectures":["OtherForCausalLM"],"model_type":"other"})");
  const auto record = create({.model = "other", .from = source});
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->details.format, "safetensors");
  EXPECT_EQ(record->details.family, "other");
  EXPECT_TRUE(fs::is_symlink(record->path + "/config.json"));
  EXPECT_TRUE(record->path.starts_with(folder_ / "models/folders/"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "models/folders"), {}), 1);
  ASSERT_TRUE(catalog_->remove("other").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "models/folders"), {}), 0);
}

TEST_F(CreateTest, SplitFilesKeepTheirNames) {
  std::vector<NamedBlob> files;
  for (int i = 1; i <= 4; ++i) {
    const std::string name = "split-0000" + std::to_string(i) + "-of-00004.gguf";
    files.emplace_back(name, *catalog_->blobs().add_file(test::fixture("io/" + name)));
  }
  const auto record = create({.model = "split", .files = files});
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_TRUE(record->path.ends_with("/split-00001-of-00004.gguf"));
}

TEST_F(CreateTest, ProjectorsAdaptersAndDrafts) {
  auto& blobs = catalog_->blobs();
  const auto record =
      create({.model = "side",
              .files = {{"m.gguf", *blobs.put(tiny_gguf())}, {"p.gguf", *blobs.put(tiny_gguf("eyes", "clip"))}},
              .adapters = {{"a.gguf", *blobs.put("adapter")}},
              .draft_files = {{"d.gguf", *blobs.put(tiny_gguf("draft"))}}});
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->projector_paths.size(), 1U);
  EXPECT_EQ(record->adapter_paths.size(), 1U);
  EXPECT_EQ(record->draft_path, blobs.path(digest_of(tiny_gguf("draft"))));
  EXPECT_EQ(record->warnings.size(), 2U);
}

TEST_F(CreateTest, WhatIsRefused) {
  const std::string blob = *catalog_->blobs().put(tiny_gguf());
  const std::string other = *catalog_->blobs().put(tiny_gguf("other"));
  const struct {
    CreateRequest request;
    StatusCode code;
    const char* message;
  } kCases[] = {
      {{.model = "x"}, StatusCode::kInvalidArgument, "neither \"from\" or \"files\""},
      {{.model = "../x", .from = "y"}, StatusCode::kInvalidArgument, "invalid model name"},
      {{.model = "x", .from = "absent"}, StatusCode::kNotFound, "model \"absent\" not found"},
      {{.model = "x", .files = {{"../a.gguf", blob}}}, StatusCode::kInvalidArgument, "invalid file name"},
      {{.model = "x", .files = {{"/a.gguf", blob}}}, StatusCode::kInvalidArgument, "invalid file name"},
      {{.model = "x", .files = {{"a.gguf", blob}, {"a.gguf", blob}}}, StatusCode::kInvalidArgument, "given twice"},
      {{.model = "x", .files = {{"a.gguf", digest_of("no")}}}, StatusCode::kNotFound, "does not exist"},
      {{.model = "x", .files = {{"a.gguf", blob}, {"b.gguf", other}}}, StatusCode::kInvalidArgument, "more than one"},
      {{.model = "x", .files = {{"a.gguf", *catalog_->blobs().put("text")}}}, StatusCode::kInvalidArgument, "a.gguf"},
      {{.model = "x", .files = {{"a.gguf", blob}}, .template_text = "{% if %}"},
       StatusCode::kInvalidArgument,
       "template error"},
      {{.model = "x", .files = {{"a.gguf", blob}}, .draft_quantize = "Q4_0"}, StatusCode::kInvalidArgument, "draft"},
  };
  for (const auto& row : kCases) {
    const auto record = create(row.request);
    ASSERT_FALSE(record.ok()) << row.message;
    EXPECT_EQ(record.status().code(), row.code) << record.status().message();
    EXPECT_NE(record.status().message().find(row.message), std::string::npos) << record.status().message();
  }
  EXPECT_TRUE(catalog_->manifests().list().empty());
  EXPECT_FALSE(catalog_->blobs().in_use());
}

TEST_F(CreateTest, CancelledLeavesNoModel) {
  stop_at_ = "verifying conversion";
  EXPECT_EQ(create({.model = "x", .from = test::fixture("hf/llama")}).status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(catalog_->manifests().list().empty());
  EXPECT_TRUE(catalog_->blobs().partials().empty());
}

TEST_F(CreateTest, FromAModelfile) {
  write_test_file(folder_ / "work/model.gguf", tiny_gguf());
  const auto modelfile = parse_modelfile("FROM ./model.gguf\nSYSTEM hi\nPARAMETER temperature 1\n");
  ASSERT_TRUE(modelfile.ok());
  const auto request = create_request_of(*modelfile, "mine", folder_ / "work");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->from, folder_ / "work/model.gguf");
  const auto record = create(*request);
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(record->system, "hi");
  const auto again = parse_modelfile(modelfile_of(*record));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->parameters, modelfile->parameters);
  EXPECT_EQ(create_request_of(*parse_modelfile("FROM llama3\nFROM qwen"), "x", "/").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(create_request_of(*parse_modelfile("FROM llama3"), "x", folder_.path())->from, "llama3");
}

}  // namespace
}  // namespace mlxr
