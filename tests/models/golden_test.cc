// Every checkpoint of tests/fixtures/hf against what transformers computed from it in float32 (golden.safetensors), on
// every backend, as one prefill, token by token, and in chunks. A new architecture is a new folder: no code here.

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/backend/reference/reference_backend.h"
#include "core/io/hf_folder.h"
#include "core/io/json_file.h"
#include "core/io/safetensors.h"
#include "core/kernels/cpu/cpu_backend.h"
#include "core/models/architecture.h"
#include "core/runtime/kv/single_sequence_kv.h"
#include "core/runtime/step_runner.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

// The references' own distance from exact arithmetic (float32 sums over a few hundred terms, twice), and ours.
constexpr float kTolerance = 1e-3F;
constexpr std::int64_t kBlockTokens = 16;
constexpr std::int64_t kNumBlocks = 8;

std::unique_ptr<Backend> make_backend(const std::string& name) {
  if (name == "reference") return make_reference_backend();
  return *make_cpu_backend({.num_threads = 2});
}

std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(test::fixture("hf"))) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The scaling depends on the whole length by design, so that only one prefill reproduces a reference prefill.
bool depends_on_length(const ModelConfig& config) {
  return config.rope.scaling == RopeScaling::kDynamic;
}

class Golden : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const std::string folder = test::fixture("hf/" + std::get<0>(GetParam()));
    source_ = std::move(HfFolder::open(folder)).value();
    backend_ = make_backend(std::get<1>(GetParam()));
    Result<LoadedWeights> loaded = load_model(*source_, *backend_);
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_TRUE(loaded->warnings.empty()) << loaded->warnings.front();
    model_ = std::move(loaded->model);
    golden_ = std::move(read_json_file(folder + "/golden.json")).value();
    expected_ = std::move(SafetensorsFile::open(folder + "/golden.safetensors")).value();
    ids_ = golden_["ids"].get<std::vector<std::int32_t>>();
    storage_ = std::move(backend_->make_kv_storage({.layers = model_->kv_layers(),
                                                    .num_blocks = {kNumBlocks},
                                                    .block_tokens = kBlockTokens,
                                                    .type = KvType::kF32}))
                   .value();
  }

  // Logits of the whole prompt, fed in pieces of `chunk` tokens.
  std::vector<float> logits(std::size_t chunk) {
    SingleSequenceKv cache(kNumBlocks, kBlockTokens);
    StepRunner runner(*model_, *backend_, cache, *storage_);
    const SequenceId sequence = *cache.open();
    std::vector<float> all;
    for (std::size_t start = 0; start < ids_.size(); start += chunk) {
      const std::size_t count = std::min(chunk, ids_.size() - start);
      const SequencePiece piece{sequence, std::span(ids_).subspan(start, count), RowsWanted::kAll};
      std::vector<float> part;
      const Status status = runner.run({&piece, 1}, part);
      EXPECT_TRUE(status.ok()) << status.message();
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  std::unique_ptr<HfFolder> source_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<KvStorage> storage_;
  std::unique_ptr<SafetensorsFile> expected_;
  nlohmann::json golden_;
  std::vector<std::int32_t> ids_;
};

float max_difference(std::span<const float> a, std::span<const float> b) {
  float worst = 0.0F;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST_P(Golden, PrefillAgreesWithTransformers) {
  const WeightTensor* tensor = expected_->find("logits");
  ASSERT_NE(tensor, nullptr);
  std::vector<float> expected(static_cast<std::size_t>(tensor->shape.num_elements()));
  decode_row(tensor->type, tensor->bytes, expected);
  const std::vector<float> actual = logits(ids_.size());
  ASSERT_EQ(actual.size(), expected.size());
  EXPECT_LT(max_difference(actual, expected), kTolerance);
}

TEST_P(Golden, ChunksAndSingleTokensGiveTheBitsOfOnePrefill) {
  if (depends_on_length(model_->config())) GTEST_SKIP() << "its rotation depends on the total length";
  const std::vector<float> whole = logits(ids_.size());
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, std::size_t{16}}) {
    EXPECT_EQ(logits(chunk), whole) << "chunks of " << chunk;
  }
}

TEST_P(Golden, GreedyTextAgreesWhereTheMarginAllows) {
  SingleSequenceKv cache(kNumBlocks, kBlockTokens);
  StepRunner runner(*model_, *backend_, cache, *storage_);
  const SequenceId sequence = *cache.open();
  const auto greedy = golden_["greedy"].get<std::vector<std::int32_t>>();
  const auto margins = golden_["greedy_margin"].get<std::vector<float>>();
  std::vector<std::int32_t> next = ids_;
  std::vector<std::int32_t> history = ids_;
  for (std::size_t i = 0; i < greedy.size(); ++i) {
    if (depends_on_length(model_->config())) {  // the reference computed every step from scratch
      cache.truncate(sequence, 0);
      next = history;
    }
    const SequencePiece piece{sequence, next, RowsWanted::kLast};
    std::vector<float> row;
    ASSERT_TRUE(runner.run({&piece, 1}, row).ok());
    const auto best = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    if (margins[i] > 2 * kTolerance) {
      EXPECT_EQ(best, greedy[i]) << "token " << i;
    }
    next = {greedy[i]};
    history.push_back(greedy[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Golden,
                         testing::Combine(testing::ValuesIn(fixture_names()), testing::Values("reference", "cpu")),
                         [](const auto& parameters) {
                           std::string name = std::get<0>(parameters.param) + "_" + std::get<1>(parameters.param);
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace mlxr
