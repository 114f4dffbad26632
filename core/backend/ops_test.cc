// The reference backend against values worked out by hand or by formula, and the checks of Ops.

#include "core/backend/ops.h"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/reference/reference_backend.h"
#include "core/base/float16.h"

namespace mlxr {
namespace {

class ReferenceOps : public testing::Test {
 protected:
  template <class T>
  Tensor tensor(Shape shape, DType dtype, const std::vector<T>& values) {
    Tensor t = backend_->alloc(shape, dtype);
    backend_->write(t, std::as_bytes(std::span(values)));
    return t;
  }
  Tensor floats(Shape shape, const std::vector<float>& values) { return tensor(shape, DType::kF32, values); }
  Tensor ints(const std::vector<std::int32_t>& values) {
    return tensor(Shape{static_cast<std::int64_t>(values.size())}, DType::kI32, values);
  }
  std::vector<float> read(const Tensor& t) {
    std::vector<float> values(static_cast<std::size_t>(t.shape().num_elements()));
    EXPECT_TRUE(backend_->read(t, std::as_writable_bytes(std::span(values))).ok());
    return values;
  }
  Weight weight(Shape shape, const std::vector<float>& values, QuantType type = QuantType::kF32) {
    const auto row = static_cast<std::size_t>(shape[1]);
    const std::size_t row_bytes = *quant_row_bytes(type, row);
    auto bytes = std::make_shared<std::vector<std::byte>>(row_bytes * static_cast<std::size_t>(shape[0]));
    for (std::size_t r = 0; r < static_cast<std::size_t>(shape[0]); ++r) {
      encode_row(type, std::span(values).subspan(r * row, row), {},
                 std::span(*bytes).subspan(r * row_bytes, row_bytes));
    }
    auto prepared = backend_->prepare_weight({"w", type, shape, *bytes, bytes});
    EXPECT_TRUE(prepared.ok()) << prepared.status().message();
    return *prepared;
  }
  void expect_near(const Tensor& t, const std::vector<float>& expected) {
    const std::vector<float> values = read(t);
    ASSERT_EQ(values.size(), expected.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], expected[i], 2e-7F * (1 + std::abs(expected[i]))) << i;  // a few roundings to f32
  }

  std::unique_ptr<Backend> backend_ = make_reference_backend();
  Ops ops_{*backend_};
};

TEST_F(ReferenceOps, Matmul) {
  const Tensor x = floats({2, 3}, {1, 2, 3, -1, 0.5F, 4});
  const std::vector<float> w = {1, 0, 0, 0, 1, 0, 1, 1, 1, 0.5F, -0.5F, 2};
  for (const QuantType type : {QuantType::kF32, QuantType::kF16, QuantType::kBF16}) {
    expect_near(ops_.matmul(x, weight({4, 3}, w, type)), {1, 2, 6, 5.5F, -1, 0.5F, 3.5F, 7.25F});
    expect_near(ops_.matmul(x, weight({4, 3}, w, type), floats({4}, {10, 20, 30, 40})),
                {11, 22, 36, 45.5F, 9, 20.5F, 33.5F, 47.25F});
  }
}

TEST_F(ReferenceOps, MatmulOfSeveralWeightsAtOnce) {
  const Tensor x = floats({1, 2}, {1, 2});
  const Weight a = weight({1, 2}, {1, 1});
  const Weight b = weight({2, 2}, {1, 0, 0, 1});
  const auto out = ops_.matmul3(x, {&a, &b, &a}, {Tensor{}, floats({2}, {5, 5}), Tensor{}});
  expect_near(out[0], {3});
  expect_near(out[1], {6, 7});
  expect_near(out[2], {3});
}

TEST_F(ReferenceOps, Embed) {
  const Weight table = weight({3, 2}, {1, 2, 3, 4, 5, 6}, QuantType::kBF16);
  expect_near(ops_.embed(ints({2, 0, 2}), table), {5, 6, 1, 2, 5, 6});
}

TEST_F(ReferenceOps, Norms) {
  const Tensor x = floats({2, 2}, {3, 4, 1, -1});
  const Tensor w = floats({2}, {1, 2});
  const float rms = std::sqrt(12.5F);
  expect_near(ops_.rms_norm(x, w, 0), {3 / rms, 8 / rms, 1, -2});
}

TEST_F(ReferenceOps, NormsOfZeroRowsAreZero) {
  const Tensor x = floats({1, 2}, {0, 0});
  const Tensor w = floats({2}, {1, 2});
  expect_near(ops_.rms_norm(x, w, 1e-5F), {0, 0});
  expect_near(ops_.layer_norm(x, w, floats({2}, {7, 8}), 1e-5F), {7, 8});
}

TEST_F(ReferenceOps, LayerNorm) {
  const Tensor x = floats({1, 4}, {1, 2, 3, 6});  // mean 3, variance 3.5
  const float sd = std::sqrt(3.5F);
  expect_near(ops_.layer_norm(x, floats({4}, {1, 1, 2, 1}), {}, 0), {-2 / sd, -1 / sd, 0, 3 / sd});
  expect_near(ops_.layer_norm(x, floats({4}, {1, 1, 2, 1}), floats({4}, {1, 1, 1, 1}), 0),
              {1 - 2 / sd, 1 - 1 / sd, 1, 1 + 3 / sd});
}

TEST_F(ReferenceOps, AddRmsNorm) {
  const auto both = ops_.add_rms_norm(floats({1, 2}, {1, 1}), floats({1, 2}, {2, 3}), floats({2}, {1, 1}), 0);
  expect_near(both.sum, {3, 4});
  expect_near(both.norm, {3 / std::sqrt(12.5F), 4 / std::sqrt(12.5F)});
}

TEST_F(ReferenceOps, RopeTable) {
  const Tensor table = ops_.rope_table(ints({0, 3}), floats({2}, {1, 0.5F}), 2);
  expect_near(table, {2, 2, 0, 0, 2 * std::cos(3.0F), 2 * std::cos(1.5F), 2 * std::sin(3.0F), 2 * std::sin(1.5F)});
  const Tensor own = ops_.rope_table(ints({1, 1}), floats({2, 1}, {1, 2}), 1);
  expect_near(own, {std::cos(1.0F), std::sin(1.0F), std::cos(2.0F), std::sin(2.0F)});
}

TEST_F(ReferenceOps, RopeRotatesPairsAndLeavesTheRest) {
  const Tensor x = floats({1, 1, 5}, {1, 2, 3, 4, 5});
  const Tensor quarter = floats({1, 4}, {0, 1, 1, 0});  // pair 0 by a quarter turn, pair 1 not at all
  expect_near(ops_.rope(x, quarter, RopeStyle::kNeox), {-3, 2, 1, 4, 5});
  expect_near(ops_.rope(x, quarter, RopeStyle::kInterleaved), {-2, 1, 3, 4, 5});
}

TEST_F(ReferenceOps, Elementwise) {
  const Tensor x = floats({4}, {-2, 0, 1, 30});
  const auto silu = [](float v) { return v / (1 + std::exp(-v)); };
  expect_near(ops_.activate(x, Activation::kSilu), {silu(-2), 0, silu(1), 30});
  expect_near(ops_.activate(x, Activation::kGelu), {-0.04550026F, 0, 0.84134475F, 30});
  expect_near(ops_.activate(x, Activation::kGeluTanh), {-0.04540231F, 0, 0.84119199F, 30});
  expect_near(ops_.activate(x, Activation::kRelu), {0, 0, 1, 30});
  expect_near(ops_.gated(x, floats({4}, {1, 2, 3, 0.5F}), Activation::kRelu), {0, 0, 3, 15});
  expect_near(ops_.add(x, x), {-4, 0, 2, 60});
  expect_near(ops_.scale(x, 0.5F), {-1, 0, 0.5F, 15});
  expect_near(ops_.softcap(x, 10), {10 * std::tanh(-0.2F), 0, 10 * std::tanh(0.1F), 10 * std::tanh(3.0F)});
  expect_near(ops_.gather_rows(x.reshape({2, 2}), ints({1, 1, 0})), {1, 30, 1, 30, -2, 0});
}

// Two sequences in shuffled blocks of two tokens, one head: attention by hand.
TEST_F(ReferenceOps, AttentionReadsItsOwnBlocks) {
  const KvLayout layout{{{1, 1, 1}}, {4}, 2, KvType::kF32};
  auto storage = backend_->make_kv_storage(layout);
  ASSERT_TRUE(storage.ok());
  KvView view;
  view.storage = storage->get();
  view.groups[0].block_table = tensor<std::int32_t>({2, 2}, DType::kI32, {3, 0, 1, -1});
  view.query_start = ints({0, 3, 4});
  view.context_len = ints({3, 1});
  view.groups[0].slots = ints({6, 7, 0, 2});
  view.max_context = 3;
  ops_.kv_write(floats({4, 1, 1}, {0, 0, 0, 5}), floats({4, 1, 1}, {1, 2, 6, 9}), view, 0);
  const Tensor q = floats({4, 1, 1}, {1, 1, 1, 1});
  expect_near(ops_.attention(q, view, 0, {}), {1, 1.5F, 3, 9});
  expect_near(ops_.attention(q, view, 0, {.window = 2}), {1, 1.5F, 4, 9});
}

TEST_F(ReferenceOps, AttentionWeighsByTheSoftmaxOfTheScores) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16}) {
    auto storage = backend_->make_kv_storage({{{1, 2, 1}}, {1}, 4, type});
    ASSERT_TRUE(storage.ok());
    KvView view;
    view.storage = storage->get();
    view.groups[0].block_table = tensor<std::int32_t>({1, 1}, DType::kI32, {0});
    view.query_start = ints({0, 2});
    view.context_len = ints({2});
    view.groups[0].slots = ints({0, 1});
    view.max_context = 2;
    ops_.kv_write(floats({2, 1, 2}, {1, 0, 0, 2}), floats({2, 1, 1}, {8, 16}), view, 0);
    const Tensor q = floats({2, 2, 2}, {1, 1, 1, 1, 1, 1, 2, 3});  // head 0 scores 1, 2; head 1 scores 2, 6
    const float far = std::exp(-2.0F);
    const float near = std::exp(-0.5F);
    expect_near(ops_.attention(q, view, 0, {.scale = 0.5F}),
                {8, 8, (8 * near + 16) / (near + 1), (8 * far + 16) / (far + 1)});
    const float capped = std::exp(2 * std::tanh(0.5F) - 2 * std::tanh(1.5F));
    EXPECT_NEAR(read(ops_.attention(q, view, 0, {.scale = 0.5F, .softcap = 2}))[3], (8 * capped + 16) / (capped + 1),
                1e-5F);
  }
}

TEST_F(ReferenceOps, RefusesWhatItCannotHold) {
  EXPECT_EQ(backend_->prepare_weight({"ids", QuantType::kI32, {1, 1}, {}, {}}).status().code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(backend_->prepare_weight({"w", QuantType::kF32, {1, 1}, {}, {}}).status().code(), StatusCode::kCorrupt);
  EXPECT_EQ(backend_->make_kv_storage({{{1, 64, 64}}, {0}, 32, KvType::kF16}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(backend_->make_kv_storage({{{1, 64, 64}}, {INT64_MAX / 4}, 32, KvType::kF16}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(backend_->make_kv_storage({{{1, 64, 64}}, {INT64_MAX >> 14}, 32, KvType::kF16}).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(backend_->make_kv_storage({{{1, 64, 64, 1}}, {1}, 32, KvType::kF16}).status().code(),
            StatusCode::kInvalidArgument);
}

using OpsDeathTest = ReferenceOps;

TEST_F(OpsDeathTest, MismatchesNameTheOpAndTheShapes) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Weight w = weight({1, 2}, {1, 1});
  EXPECT_DEATH(ops_.matmul(x, w), "\\[matmul\\] x \\[2, 3\\] does not fit weight w \\[1, 2\\]");
  EXPECT_DEATH(ops_.add(x, floats({3, 2}, {1, 2, 3, 4, 5, 6})), "\\[add\\] a f32 \\[2, 3\\] does not fit b f32");
  EXPECT_DEATH(ops_.rms_norm(x, floats({2}, {1, 1}), 0), "\\[rms_norm\\]");
  EXPECT_DEATH(ops_.embed(x, w), "\\[embed\\] ids f32 \\[2, 3\\] is not a tensor of i32");
  EXPECT_DEATH(ops_.attention(x, {}, 0, {}), "\\[attention\\] the KV view has no storage");
}

}  // namespace
}  // namespace mlxr
