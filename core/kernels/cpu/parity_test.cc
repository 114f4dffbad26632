// The CPU backend against the reference: every op but attention and matmul (attention_test.cc, matmul_test.cc), on
// every instruction set that the machine has. The reference sums in double, so the tolerance is the rounding of the
// tested kernel: operations in the longest chain x epsilon x size of the terms.

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "core/base/float16.h"
#include "core/kernels/cpu/float_kernels.h"
#include "tests/support/backend_pair.h"

namespace mlxr {
namespace {

class Parity : public testing::TestWithParam<Isa> {
 protected:
  using Op = std::function<Tensor(Backend&)>;

  // |cpu - reference| <= rounding * epsilon * (|reference| + size) for every element.
  void expect_close(const std::string& what, const Op& op, double rounding, double size = 0) {
    const std::vector<float> expected = download(*reference_, op(*reference_));
    for (Backend* backend : {serial_.get(), threaded_.get()}) {
      const std::vector<float> values = download(*backend, op(*backend));
      ASSERT_EQ(values.size(), expected.size()) << what;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double limit = rounding * kEpsilon * (std::abs(static_cast<double>(expected[i])) + size);
        ASSERT_NEAR(values[i], expected[i], limit) << what << " element " << i << ", " << backend->description();
      }
    }
    expect_same_alone(what, op);
  }
  void expect_same_alone(const std::string& what, const Op& op) {
    EXPECT_TRUE(same_bits(download(*serial_, op(*serial_)), download(*threaded_, op(*threaded_)))) << what;
  }

  std::unique_ptr<Backend> reference_ = make_reference_backend();
  std::unique_ptr<Backend> serial_ = make_test_backend(GetParam(), 1);
  std::unique_ptr<Backend> threaded_ = make_test_backend(GetParam(), 3);
  TestNumbers numbers_{42};
};

INSTANTIATE_TEST_SUITE_P(Isa, Parity, testing::ValuesIn(test_isas()), isa_test_name);

struct RowShape {
  std::int64_t rows;
  std::int64_t n;
};
constexpr RowShape kRowShapes[] = {{1, 1},  {1, 3},   {2, 16},   {33, 17},  {5, 64},   {3, 127},
                                   {7, 80}, {1, 576}, {33, 768}, {65, 900}, {2, 4096}, {40, 5000}};

TEST_P(Parity, RmsNorm) {
  for (const RowShape& row_shape : kRowShapes) {
    const std::int64_t rows = row_shape.rows;
    const std::int64_t n = row_shape.n;
    const auto x = numbers_.reals(rows * n, 3);
    const auto b = numbers_.reals(rows * n, 3);
    const auto w = numbers_.reals(n, 2);
    const Shape shape{rows, n};
    // Half of the sum's relative error goes through the root; a few roundings follow.
    const double rounding = static_cast<double>(n) / 2 + 8;
    expect_close(
        "rms_norm " + shape.to_string(),
        [&](Backend& k) { return k.rms_norm(upload(k, shape, x), upload(k, {n}, w), 1e-5F); }, rounding);
    expect_close(
        "add_rms_norm " + shape.to_string(),
        [&](Backend& k) {
          return k.add_rms_norm(upload(k, shape, x), upload(k, shape, b), upload(k, {n}, w), 1e-5F).norm;
        },
        rounding);
    expect_close(
        "add_rms_norm sum " + shape.to_string(),
        [&](Backend& k) {
          return k.add_rms_norm(upload(k, shape, x), upload(k, shape, b), upload(k, {n}, w), 1e-5F).sum;
        },
        1);
  }
}

TEST_P(Parity, RmsNormOfHeads) {
  const auto x = numbers_.reals(5 * 3 * 80);
  const auto w = numbers_.reals(80);
  expect_close(
      "rms_norm",
      [&](Backend& k) {
        return k.rms_norm(upload(k, {5, 3, 80}, x), upload(k, {80}, w), 1e-6F);
      },
      48);
}

TEST_P(Parity, LayerNorm) {
  for (const RowShape& row_shape : kRowShapes) {
    const std::int64_t rows = row_shape.rows;
    const std::int64_t n = row_shape.n;
    const auto x = numbers_.reals(rows * n, 3);
    const auto w = numbers_.reals(n, 2);
    const auto b = numbers_.reals(n, 2);
    const Shape shape{rows, n};
    // The mean's error, up to n epsilon times 3, is divided by the deviation, which is about 1.7 (or, with one
    // element, sqrt(eps)).
    const double deviation = n < 4 ? std::sqrt(1e-2) : 1.0;
    const double rounding = 2 * static_cast<double>(n) + 16;
    for (const bool with_bias : {false, true}) {
      expect_close(
          "layer_norm " + shape.to_string(),
          [&](Backend& k) {
            const Tensor bias = with_bias ? upload(k, {n}, b) : Tensor{};
            return k.layer_norm(upload(k, shape, x), upload(k, {n}, w), bias, 1e-2F);
          },
          rounding, 3 * 2 / deviation);
    }
  }
}

TEST_P(Parity, RopeTable) {
  for (const std::int64_t tokens : {1, 5, 600}) {
    for (const std::int64_t half : {1, 5, 32, 64}) {
      auto positions = numbers_.integers(tokens, 1 << 20);
      const auto shared = numbers_.reals(half);
      const auto own = numbers_.reals(tokens * half);
      expect_close(
          "shared",
          [&](Backend& k) { return k.rope_table(upload(k, {tokens}, positions), upload(k, {half}, shared), 1.25F); },
          0);
      expect_close(
          "own",
          [&](Backend& k) {
            return k.rope_table(upload(k, {tokens}, positions), upload(k, {tokens, half}, own), 1.0F);
          },
          0);
    }
  }
}

TEST_P(Parity, Rope) {
  struct Case {
    std::int64_t tokens, heads, head_dim, dim;
  };
  for (const auto& c : {Case{1, 1, 2, 2}, Case{3, 5, 16, 16}, Case{1, 32, 64, 64}, Case{33, 3, 80, 20},
                        Case{2, 2, 96, 34}, Case{70, 9, 128, 128}}) {
    const auto x = numbers_.reals(c.tokens * c.heads * c.head_dim);
    const auto table = numbers_.reals(c.tokens * c.dim);
    for (const RopeStyle style : {RopeStyle::kNeox, RopeStyle::kInterleaved}) {
      // Two products and a difference, which may cancel: an error of the size of the terms.
      expect_close(
          "rope " + std::to_string(c.dim),
          [&](Backend& k) {
            return k.rope(upload(k, {c.tokens, c.heads, c.head_dim}, x), upload(k, {c.tokens, c.dim}, table), style);
          },
          3, 1);
    }
  }
}

TEST_P(Parity, Activations) {
  for (const std::int64_t n : {1, 7, 15, 16, 33, 1000, 40000}) {
    auto x = numbers_.reals(n, 12);
    x[0] = -100;
    if (n > 7) {
      x[1] = 100;
      x[2] = 0;
      x[3] = -1e-20F;
    }
    const auto up = numbers_.reals(n, 4);
    for (const Activation act : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
      // e^x carries the rounding of its argument: up to |x| = 12 (for GELU 2 u = 200) epsilons where the result is not
      // negligible; the rest is a handful of operations.
      const double rounding = act == Activation::kRelu ? 1 : act == Activation::kGeluTanh ? 250 : 24;
      expect_close(
          "activate", [&](Backend& k) { return k.activate(upload(k, {n}, x), act); }, rounding, 1e-6);
      expect_close(
          "gated", [&](Backend& k) { return k.gated(upload(k, {n}, x), upload(k, {n}, up), act); }, rounding, 1e-6);
    }
  }
}

TEST_P(Parity, Elementwise) {
  for (const std::int64_t n : {1, 7, 16, 33, 1000, 70001}) {
    const auto a = numbers_.reals(n, 60);
    const auto b = numbers_.reals(n, 60);
    expect_close(
        "add", [&](Backend& k) { return k.add(upload(k, {n}, a), upload(k, {n}, b)); }, 1);
    expect_close(
        "scale", [&](Backend& k) { return k.scale(upload(k, {n}, a), 0.3F); }, 1);
    for (const float cap : {5.0F, 30.0F, 5000.0F})
      expect_close(
          "softcap", [&](Backend& k) { return k.softcap(upload(k, {n}, a), cap); }, 10);
  }
}

TEST_P(Parity, GatherRows) {
  const auto x = numbers_.reals(50 * 77);
  for (const std::int64_t m : {1, 3, 200, 900}) {
    const auto rows = numbers_.integers(m, 50);
    expect_close(
        "gather_rows",
        [&](Backend& k) {
          return k.gather_rows(upload(k, {50, 77}, x), upload(k, {m}, rows));
        },
        0);
  }
}

TEST_P(Parity, EmbedDecodesEveryType) {
  for (const QuantInfo& info : all_quant_types()) {
    if (info.decode == nullptr || info.encode == nullptr) continue;
    const std::int64_t width = 512;
    const std::int64_t vocab = 40;
    const auto values = numbers_.reals(vocab * width);
    const std::size_t row_bytes = *quant_row_bytes(info.type, 512);
    auto bytes = std::make_shared<std::vector<std::byte>>(row_bytes * 40);
    for (std::size_t r = 0; r < 40; ++r) {
      encode_row(info.type, std::span(values).subspan(r * 512, 512), {},
                 std::span(*bytes).subspan(r * row_bytes, row_bytes));
    }
    for (const std::int64_t tokens : {1, 70}) {
      const auto ids = numbers_.integers(tokens, 40);
      expect_close(
          info.name,
          [&](Backend& k) {
            auto table = k.prepare_weight({"table", info.type, {vocab, width}, *bytes, bytes});
            EXPECT_TRUE(table.ok());
            return k.embed(upload(k, {tokens}, ids), *table);
          },
          0);
    }
  }
}

// The backend's three ways to a product agree bit for bit; products themselves are tested in matmul_test.cc.
TEST_P(Parity, ProductsByEveryOp) {
  const auto gate_values = numbers_.reals(48 * 64);
  const auto up_values = numbers_.reals(48 * 64);
  for (const std::int64_t tokens : {1, 3, 40}) {
    const auto x = numbers_.reals(tokens * 64);
    const auto weight = [&](Backend& k, const std::vector<float>& values) {
      auto prepared = k.prepare_weight({"w", QuantType::kF32, {48, 64}, std::as_bytes(std::span(values)), nullptr});
      EXPECT_TRUE(prepared.ok());
      return *prepared;
    };
    const auto bias_values = numbers_.reals(48);
    expect_close(
        "matmul",
        [&](Backend& k) {
          return k.matmul(upload(k, {tokens, 64}, x), weight(k, gate_values), upload(k, {48}, bias_values));
        },
        64 + 1, 64);
    expect_close(
        "gate_up",
        [&](Backend& k) {
          return k.gate_up(upload(k, {tokens, 64}, x), weight(k, gate_values), weight(k, up_values), Activation::kSilu);
        },
        2 * 64 + 8, 64);
    Backend& k = *threaded_;
    const Weight gate = weight(k, gate_values);
    const Weight up = weight(k, up_values);
    const Tensor input = upload(k, {tokens, 64}, x);
    const Tensor bias = upload(k, {48}, bias_values);
    const auto both = Ops(k).matmul3(input, {&gate, &up, &gate}, {Tensor{}, Tensor{}, bias});
    EXPECT_TRUE(same_bits(download(k, both[0]), download(k, k.matmul(input, gate, {}))));
    EXPECT_TRUE(same_bits(download(k, both[1]), download(k, k.matmul(input, up, {}))));
    EXPECT_TRUE(same_bits(download(k, both[2]), download(k, k.matmul(input, gate, bias))));
    const Tensor composed = k.gated(both[0], both[1], Activation::kSilu);
    EXPECT_TRUE(same_bits(download(k, k.gate_up(input, gate, up, Activation::kSilu)), download(k, composed)));
  }
}

// The vector exponential within 2 ulp over its whole range, and exact at the ends.
TEST_P(Parity, Exponential) {
  CpuFeatures features = *cap_features(detect_cpu_features(), GetParam());
  const FloatKernels& kernels = float_kernels(features);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = numbers_.reals(100000, 87.3F);
  const auto small = numbers_.reals(20000, 1);
  x.insert(x.end(), small.begin(), small.end());
  std::vector<float> y(x.size());
  kernels.exp(x.data(), static_cast<std::int64_t>(x.size()), y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    ASSERT_NEAR(y[i], expected, 4 * kEpsilon * expected) << x[i];
  }
  const std::vector<float> edges = {-kInfinity, -1000, -87.4F, 0.0F, -0.0F, 88.0F, 89.5F, kInfinity};
  std::vector<float> at_edges(edges.size());
  kernels.exp(edges.data(), static_cast<std::int64_t>(edges.size()), at_edges.data());
  EXPECT_EQ(at_edges[0], 0);
  EXPECT_EQ(at_edges[1], 0);
  EXPECT_EQ(at_edges[2], 0);
  EXPECT_EQ(at_edges[3], 1);
  EXPECT_EQ(at_edges[4], 1);
  EXPECT_NEAR(at_edges[5], std::exp(88.0), 4 * kEpsilon * std::exp(88.0));
  EXPECT_EQ(at_edges[6], kInfinity);
  EXPECT_EQ(at_edges[7], kInfinity);
  std::vector<float> sweep;
  for (float v = -95; v < 95; v += 0x1p-8F)
    sweep.push_back(v);
  std::vector<float> rising(sweep.size());
  kernels.exp(sweep.data(), static_cast<std::int64_t>(sweep.size()), rising.data());
  EXPECT_TRUE(std::is_sorted(rising.begin(), rising.end()));
  const float nan = std::nanf("");
  float result = 0;
  kernels.exp(&nan, 1, &result);
  EXPECT_TRUE(std::isnan(result));
}

// Conversions give the bits of core/base/float16.h, for every class of number.
TEST_P(Parity, ConversionsTo16Bits) {
  CpuFeatures features = *cap_features(detect_cpu_features(), GetParam());
  const FloatKernels& kernels = float_kernels(features);
  std::vector<float> x;
  for (int i = 0; i < 200000; ++i)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(numbers_.next())));
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    x.push_back(f16_to_f32(static_cast<std::uint16_t>(bits)));
    x.push_back(bf16_to_f32(static_cast<std::uint16_t>(bits)));
  }
  x.push_back(1.0F);  // an odd number of elements
  std::vector<std::uint16_t> y(x.size());
  for (const KvType type : {KvType::kF16, KvType::kBF16}) {
    kernels.convert(x.data(), type, static_cast<std::int64_t>(x.size()), y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::uint16_t expected = type == KvType::kF16 ? f32_to_f16(x[i]) : f32_to_bf16(x[i]);
      // The payload of a NaN is nobody's business.
      if (std::isnan(x[i])) {
        EXPECT_TRUE(std::isnan(type == KvType::kF16 ? f16_to_f32(y[i]) : bf16_to_f32(y[i])));
      } else {
        ASSERT_EQ(y[i], expected) << x[i] << " to " << kv_type_info(type).name;
      }
    }
  }
}

// A row alone has the bits that it has among others.
TEST_P(Parity, RowsDoNotSeeEachOther) {
  constexpr std::int64_t kRows = 37;
  constexpr std::int64_t kWidth = 1237;
  const auto x = numbers_.reals(kRows * kWidth, 8);
  const auto w = numbers_.reals(kWidth);
  const auto check = [&](const char* what, const std::function<Tensor(Backend&, const Tensor&)>& op) {
    const std::vector<float> all = download(*threaded_, op(*threaded_, upload(*threaded_, {kRows, kWidth}, x)));
    for (std::int64_t r = 0; r < kRows; ++r) {
      const auto begin = static_cast<std::ptrdiff_t>(r * kWidth);
      const std::vector<float> row(x.begin() + begin, x.begin() + begin + kWidth);
      const std::vector<float> alone = download(*threaded_, op(*threaded_, upload(*threaded_, {1, kWidth}, row)));
      ASSERT_TRUE(same_bits(alone, {all.begin() + begin, all.begin() + begin + kWidth})) << what << " row " << r;
    }
  };
  check("rms_norm", [&](Backend& k, const Tensor& t) { return k.rms_norm(t, upload(k, {kWidth}, w), 1e-5F); });
  check("layer_norm", [&](Backend& k, const Tensor& t) { return k.layer_norm(t, upload(k, {kWidth}, w), {}, 1e-5F); });
  check("silu", [&](Backend& k, const Tensor& t) { return k.activate(t, Activation::kSilu); });
  check("gelu", [&](Backend& k, const Tensor& t) { return k.activate(t, Activation::kGeluTanh); });
  check("softcap", [&](Backend& k, const Tensor& t) { return k.softcap(t, 30); });
}

TEST(CpuBackend, RefusesWhatTheMachineHasNot) {
  EXPECT_EQ(make_cpu_backend({.num_threads = -1}).status().code(), StatusCode::kInvalidArgument);
  const std::vector<Isa> isas = test_isas();
  for (const Isa isa : {Isa::kAvx2, Isa::kNeon}) {
    if (std::find(isas.begin(), isas.end(), isa) != isas.end()) continue;
    EXPECT_EQ(make_cpu_backend({.isa = isa}).status().code(), StatusCode::kUnsupported);
  }
}

}  // namespace
}  // namespace mlxr
