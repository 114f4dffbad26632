#include "core/kernels/cpu/matmul.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/host_weight.h"
#include "core/base/float16.h"
#include "core/quant/kquant.h"
#include "core/quant/legacy.h"

namespace mlxr {
namespace {

struct Machine {
  Isa isa;
  CpuFeatures features;
};

std::vector<Machine> machines() {
  std::vector<Machine> found;
  const CpuFeatures all = detect_cpu_features();
  for (const Isa isa : available_isas(all))
    found.push_back({isa, cap_features(all, isa).value()});
  return found;
}

// Types that decode, with their own kernel or without.
std::vector<QuantType> types() {
  std::vector<QuantType> found;
  for (const QuantInfo& info : all_quant_types()) {
    if (info.decode != nullptr) found.push_back(info.type);
  }
  return found;
}

bool has_integer_kernel(QuantType type) {
  for (const QuantDotKernel& kernel : kReferenceMatmulKernels.quantized) {
    if (kernel.type == type) return true;
  }
  return false;
}

std::vector<QuantType> integer_types() {
  std::vector<QuantType> found;
  for (const QuantDotKernel& kernel : kReferenceMatmulKernels.quantized)
    found.push_back(kernel.type);
  return found;
}

// Where the binary16 scales of a block are.
std::vector<std::size_t> scale_offsets(QuantType type) {
  switch (type) {
    case QuantType::kQ4_0:
    case QuantType::kQ5_0:
    case QuantType::kQ8_0:
    case QuantType::kIQ4_NL:
    case QuantType::kIQ4_XS:
    case QuantType::kIQ2_XXS:
    case QuantType::kIQ2_XS:
    case QuantType::kIQ2_S:
    case QuantType::kIQ3_XXS:
    case QuantType::kIQ3_S:
    case QuantType::kIQ1_S:
    case QuantType::kQ1_0:
    case QuantType::kQ2_0:
      return {0};
    case QuantType::kQ4_1:
    case QuantType::kQ5_1:
    case QuantType::kQ8_1:
    case QuantType::kQ4_K:
    case QuantType::kQ5_K:
      return {0, 2};
    case QuantType::kQ2_K:
      return {offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin)};
    case QuantType::kQ3_K:
      return {offsetof(BlockQ3_K, d)};
    case QuantType::kQ6_K:
      return {offsetof(BlockQ6_K, d)};
    case QuantType::kTQ1_0:
      return {52};
    case QuantType::kTQ2_0:
      return {64};
    default:
      return {};
  }
}

// Random rows of a type: quants of any bits, scales of a sensible size. Types whose scales are not binary16 keep what
// decodes to less than 2^10.
class RandomWeight {
 public:
  RandomWeight(QuantType type, std::int64_t rows, std::int64_t elements, std::uint32_t seed, std::size_t misalign = 1)
      : misalign_(misalign) {
    const QuantInfo& info = quant_info(type);
    row_bytes_ = *quant_row_bytes(type, static_cast<std::size_t>(elements));
    const std::size_t size = row_bytes_ * static_cast<std::size_t>(rows);
    bytes_.resize(size + misalign);
    std::mt19937 random(seed);
    const auto blocks = size / info.block_bytes;
    std::vector<float> decoded(info.block_elements);
    for (std::size_t b = 0; b < blocks; ++b) {
      std::byte* block = bytes_.data() + misalign + b * info.block_bytes;
      do {
        for (std::size_t i = 0; i < info.block_bytes; ++i)
          block[i] = static_cast<std::byte>(random());
        for (const std::size_t offset : scale_offsets(type)) {
          const std::uint16_t scale = f32_to_f16((static_cast<float>(random() % 2048) - 1024.0F) / 65536.0F);
          std::memcpy(block + offset, &scale, 2);
        }
        info.decode(block, decoded);
      } while (!sensible(decoded));
    }
    weight_ = Weight{"w", type, Shape{rows, elements},
                     std::make_shared<HostWeight>(std::span(bytes_).subspan(misalign), row_bytes_, nullptr)};
  }

  const Weight& weight() const { return weight_; }
  std::byte* data() { return bytes_.data() + misalign_; }
  std::size_t row_bytes() const { return row_bytes_; }

  std::vector<float> row(std::int64_t index) const {
    std::vector<float> out(static_cast<std::size_t>(weight_.shape[1]));
    decode_row(weight_.type, HostWeight::of(weight_).row(index), out);
    return out;
  }

 private:
  static bool sensible(const std::vector<float>& decoded) {
    for (const float x : decoded) {
      if (!(std::abs(x) < 1024.0F)) return false;
    }
    return true;
  }

  std::size_t misalign_;
  std::size_t row_bytes_ = 0;
  std::vector<std::byte> bytes_;
  Weight weight_;
};

std::vector<float> random_floats(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& value : x)
    value = normal(random);
  return x;
}

std::vector<float> multiply(const Machine& machine, int threads, const Weight& weight, const std::vector<float>& x,
                            std::int64_t tokens, const float* bias = nullptr) {
  ThreadPool pool({.num_threads = threads});
  CpuMatmul matmul(machine.features, pool);
  std::vector<float> out(static_cast<std::size_t>(tokens * weight.shape[0]), -1.0F);
  const CpuMatmul::Product product = {.weight = &weight, .bias = bias, .out = out.data()};
  matmul.multiply(x.data(), tokens, {&product, 1});
  return out;
}

bool same_bits(float a, float b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0 || (std::isnan(a) && std::isnan(b));
}

// Largest error that a result may have against the sum in double of decoded weights times x:
//  - f32 rounding: each of the chunk's sums of at most elements / 16 + 8 terms loses half an ulp a step of at most the
//    sum of magnitudes: (elements / 16 + 8 + elements / 1024) * 2^-24 * sum |w x|, doubled for the decoding's own
//    rounding.
//  - 8-bit activations: an element is off by at most scale / 2 = max |x| of its 32 / 254, and a little for the
//    rounding of x * factor (2^-17 of the maximum covers 127 * 2^-24 twice), so the sum by the sum of |w| times that.
double tolerance(const std::vector<float>& w, const float* x, bool quantized) {
  double magnitude = 0;
  double quantization = 0;
  for (std::size_t first = 0; first < w.size(); first += 32) {
    double max = 0;
    double sum = 0;
    for (std::size_t i = first; i < std::min(first + 32, w.size()); ++i) {
      max = std::max(max, std::abs(static_cast<double>(x[i])));
      sum += std::abs(static_cast<double>(w[i]));
      magnitude += std::abs(static_cast<double>(w[i]) * static_cast<double>(x[i]));
    }
    quantization += sum * max * (1.0 / 254 + 0x1p-17);
  }
  const auto n = static_cast<double>(w.size());
  // A minimum or zero point makes terms larger than the result; they are bounded by 64 steps of the scale.
  const double terms = quantized ? 64 : 1;
  return 2 * (n / 16 + 8 + n / 1024) * 0x1p-24 * magnitude * terms + (quantized ? quantization : 0) + 1e-30;
}

class MatmulTypes : public testing::TestWithParam<QuantType> {};
class MatmulIntegerTypes : public testing::TestWithParam<QuantType> {};

TEST_P(MatmulTypes, AgreeWithDecodedRows) {
  const QuantType type = GetParam();
  const auto block = static_cast<std::int64_t>(quant_info(type).block_elements);
  for (const Machine& machine : machines()) {
    for (const std::int64_t elements : {1, 32, 33, 96, 256, 512, 1536, 2080}) {
      if (elements % block != 0) continue;
      for (const std::int64_t rows : {1, 3, 7, 33, 100}) {
        RandomWeight weight(type, rows, elements, static_cast<std::uint32_t>(elements + rows));
        for (const std::int64_t tokens : {1, 2, 3, 5, 8, 17, 64}) {
          if (tokens * rows * elements > 5'000'000) continue;
          const std::vector<float> x = random_floats(tokens * elements, static_cast<std::uint32_t>(tokens));
          const std::vector<float> out = multiply(machine, 1, weight.weight(), x, tokens);
          for (std::int64_t r = 0; r<rows; r += rows> 40 ? 9 : 1) {
            const std::vector<float> w = weight.row(r);
            for (std::int64_t t = 0; t < tokens; ++t) {
              double expected = 0;
              for (std::int64_t i = 0; i < elements; ++i)
                expected += static_cast<double>(w[static_cast<std::size_t>(i)]) *
                            static_cast<double>(x[static_cast<std::size_t>(t * elements + i)]);
              const double got = static_cast<double>(out[static_cast<std::size_t>(t * rows + r)]);
              ASSERT_NEAR(got, expected, tolerance(w, x.data() + t * elements, has_integer_kernel(type)))
                  << isa_name(machine.isa) << " [" << tokens << ", " << elements << "] x [" << rows << "] token " << t
                  << " row " << r;
            }
          }
        }
      }
    }
  }
}

// The portable kernels sum whole numbers exactly and then multiply and add in the same order as every other.
TEST_P(MatmulIntegerTypes, AgreeBitForBitAcrossInstructionSets) {
  const QuantType type = GetParam();
  const auto block = static_cast<std::int64_t>(quant_info(type).block_elements);
  for (const std::int64_t elements : {32, 96, 256, 1536, 2080}) {
    if (elements % block != 0) continue;
    RandomWeight weight(type, 37, elements, 5);
    for (const std::int64_t tokens : {1, 2, 3, 7, 64}) {
      const std::vector<float> x = random_floats(tokens * elements, 3);
      const std::vector<float> expected = multiply({Isa::kReference, {}}, 1, weight.weight(), x, tokens);
      for (const Machine& machine : machines()) {
        const std::vector<float> out = multiply(machine, 1, weight.weight(), x, tokens);
        for (std::size_t i = 0; i < out.size(); ++i)
          ASSERT_TRUE(same_bits(out[i], expected[i]))
              << isa_name(machine.isa) << " tokens " << tokens << " elements " << elements << " at " << i << ": "
              << out[i] << " " << expected[i];
      }
    }
  }
}

TEST_P(MatmulTypes, ResultsDoNotDependOnTheBatchTheThreadsOrTheTile) {
  const QuantType type = GetParam();
  constexpr std::int64_t kTokens = 521;  // more than are gathered at once
  const std::int64_t elements = quant_info(type).block_elements == 1 ? 1100 : 1280;
  constexpr std::int64_t kRows = 70;
  RandomWeight weight(type, kRows, elements, 11);
  RandomWeight shifted(type, kRows + 5, elements, 12, 3);
  std::memcpy(shifted.data() + 5 * shifted.row_bytes(), weight.data(), kRows * weight.row_bytes());
  const std::vector<float> x = random_floats(kTokens * elements, 13);
  for (const Machine& machine : machines()) {
    const std::vector<float> whole = multiply(machine, 1, weight.weight(), x, kTokens);
    const std::vector<float> threads = multiply(machine, 3, weight.weight(), x, kTokens);
    ASSERT_EQ(std::memcmp(whole.data(), threads.data(), whole.size() * sizeof(float)), 0) << isa_name(machine.isa);
    std::int64_t first = 0;
    for (const std::int64_t tokens : {1, 2, 3, 4, 5, 7, 9, 30}) {
      const std::vector<float> part(x.begin() + first * elements, x.begin() + (first + tokens) * elements);
      const std::vector<float> out = multiply(machine, 2, shifted.weight(), part, tokens);
      for (std::int64_t t = 0; t < tokens; ++t) {
        for (std::int64_t r = 0; r < kRows; ++r) {
          const float a = whole[static_cast<std::size_t>((first + t) * kRows + r)];
          const float b = out[static_cast<std::size_t>(t * (kRows + 5) + r + 5)];
          ASSERT_TRUE(same_bits(a, b)) << isa_name(machine.isa) << " tokens " << tokens << " row " << r << ": " << a
                                       << " " << b;
        }
      }
      first += tokens;
    }
  }
}

TEST_P(MatmulTypes, AnyBitsInTheWeightsAreSafe) {
  const QuantType type = GetParam();
  const QuantInfo& info = quant_info(type);
  const auto elements = static_cast<std::int64_t>(info.block_elements) * 3;
  constexpr std::int64_t kRows = 40;
  std::mt19937 random(17);
  std::vector<std::byte> bytes(static_cast<std::size_t>(kRows) * 3 * info.block_bytes);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random() % 3 == 0 ? 0xff : random());
  const Weight weight = {"w", type, Shape{kRows, elements},
                         std::make_shared<HostWeight>(std::span(bytes), 3 * info.block_bytes, nullptr)};
  for (const Machine& machine : machines()) {
    for (const std::int64_t tokens : {1, 9}) {
      std::vector<float> x = random_floats(tokens * elements, 19);
      const std::vector<float> finite = multiply(machine, 2, weight, x, tokens);
      ASSERT_EQ(finite.size(), static_cast<std::size_t>(tokens * kRows));
      x[0] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<float> out = multiply(machine, 2, weight, x, tokens);
      for (std::size_t r = 0; r < kRows; ++r)
        ASSERT_TRUE(std::isnan(out[r])) << isa_name(machine.isa) << " a NaN activation must show";
    }
  }
}

std::string type_name(const testing::TestParamInfo<QuantType>& tested) {
  return quant_info(tested.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, MatmulTypes, testing::ValuesIn(types()), type_name);
INSTANTIATE_TEST_SUITE_P(All, MatmulIntegerTypes, testing::ValuesIn(integer_types()), type_name);

TEST(Matmul, SeveralProductsOfOneInputAndBiases) {
  constexpr std::int64_t kElements = 512;
  RandomWeight q(QuantType::kQ4_K, 70, kElements, 1);
  RandomWeight k(QuantType::kQ6_K, 33, kElements, 2);
  RandomWeight v(QuantType::kF16, 5, kElements, 3);
  const std::vector<float> bias = random_floats(33, 4);
  for (const Machine& machine : machines()) {
    for (const std::int64_t tokens : {1, 6}) {
      const std::vector<float> x = random_floats(tokens * kElements, 5);
      std::vector<float> outs[3] = {std::vector<float>(static_cast<std::size_t>(tokens * 70)),
                                    std::vector<float>(static_cast<std::size_t>(tokens * 33)),
                                    std::vector<float>(static_cast<std::size_t>(tokens * 5))};
      ThreadPool pool({.num_threads = 2});
      CpuMatmul matmul(machine.features, pool);
      const CpuMatmul::Product products[] = {{.weight = &q.weight(), .out = outs[0].data()},
                                             {.weight = &k.weight(), .bias = bias.data(), .out = outs[1].data()},
                                             {.weight = &v.weight(), .out = outs[2].data()}};
      matmul.multiply(x.data(), tokens, products);
      EXPECT_EQ(outs[0], multiply(machine, 1, q.weight(), x, tokens));
      EXPECT_EQ(outs[1], multiply(machine, 1, k.weight(), x, tokens, bias.data()));
      EXPECT_EQ(outs[2], multiply(machine, 1, v.weight(), x, tokens));
      std::vector<float> plain = multiply(machine, 1, k.weight(), x, tokens);
      for (std::size_t i = 0; i < plain.size(); ++i)
        EXPECT_EQ(outs[1][i], plain[i] + bias[i % 33]);
    }
  }
}

void product_of_both(const float* gate, const float* up, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = gate[i] * up[i];
}

TEST(Matmul, GatedPairIsTheTwoProductsCombined) {
  constexpr std::int64_t kElements = 256;
  for (const QuantType type : {QuantType::kQ4_0, QuantType::kBF16}) {
    RandomWeight gate(type, 41, kElements, 1);
    RandomWeight up(type, 41, kElements, 2);
    for (const Machine& machine : machines()) {
      for (const std::int64_t tokens : {1, 9}) {
        const std::vector<float> x = random_floats(tokens * kElements, 5);
        std::vector<float> out(static_cast<std::size_t>(tokens * 41));
        ThreadPool pool({.num_threads = 2});
        CpuMatmul matmul(machine.features, pool);
        matmul.multiply_gated(x.data(), tokens, gate.weight(), up.weight(), product_of_both, out.data());
        const std::vector<float> a = multiply(machine, 1, gate.weight(), x, tokens);
        const std::vector<float> b = multiply(machine, 1, up.weight(), x, tokens);
        for (std::size_t i = 0; i < out.size(); ++i)
          ASSERT_EQ(out[i], a[i] * b[i]) << isa_name(machine.isa);
      }
    }
  }
}

TEST(QuantizedRows, EveryInstructionSetGivesTheSameBytes) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const std::int64_t elements : {1, 31, 32, 96, 256, 300, 1024}) {
    std::vector<float> x = random_floats(elements, 23);
    if (elements >= 256) {
      std::fill(x.begin() + 32, x.begin() + 64, 0.0F);
      x[64] = kInf;
      x[97] = std::numeric_limits<float>::quiet_NaN();
      std::fill(x.begin() + 128, x.begin() + 160, 1e-40F);
      std::fill(x.begin() + 160, x.begin() + 192, 3e38F);
    }
    std::vector<ActivationGroup> expected(static_cast<std::size_t>(num_groups(elements)));
    quantize_row_reference(x.data(), elements, expected.data());
    for (const Machine& machine : machines()) {
      std::vector<ActivationGroup> got(expected.size());
      matmul_kernels(machine.features).quantize_row(x.data(), elements, got.data());
      for (std::size_t g = 0; g < got.size(); ++g) {
        EXPECT_EQ(std::memcmp(got[g].q, expected[g].q, sizeof(got[g].q)), 0) << isa_name(machine.isa);
        EXPECT_EQ(std::memcmp(got[g].sum, expected[g].sum, sizeof(got[g].sum)), 0) << isa_name(machine.isa);
        EXPECT_EQ(std::memcmp(got[g].half_sum, expected[g].half_sum, sizeof(got[g].half_sum)), 0)
            << isa_name(machine.isa);
        for (int b = 0; b < 8; ++b) {
          EXPECT_TRUE(same_bits(got[g].scale[b], expected[g].scale[b])) << isa_name(machine.isa) << " block " << b;
          EXPECT_TRUE(same_bits(got[g].scaled_sum[b], expected[g].scaled_sum[b])) << isa_name(machine.isa);
        }
      }
    }
    for (std::int64_t i = 0; i < elements; ++i) {
      const ActivationGroup& group = expected[static_cast<std::size_t>(i / 256)];
      const float scale = group.scale[i % 256 / 32];
      const float value = x[static_cast<std::size_t>(i)];
      if (!std::isfinite(scale) || std::abs(value) < 1e-30F) continue;
      EXPECT_NEAR(scale * static_cast<float>(group.q[i % 256]), value, 0.5001F * scale);
    }
  }
}

}  // namespace
}  // namespace mlxr
