#include "core/quant/ternary.h"

#include "core/base/float16.h"
#include "core/quant/block_io.h"

namespace mlxr {
namespace {

template <class Block, std::size_t kElements, class Decode>
void for_each_block(const std::byte* blocks, std::span<float> out, Decode decode) {
  for (std::size_t b = 0; b < out.size() / kElements; ++b) {
    const auto block = load_block<Block>(blocks, b);
    decode(block, f16_to_f32(block.d), out.data() + b * kElements);
  }
}

// Digit n (0..4) of a byte of base-3 fraction digits.
int ternary_digit(std::uint8_t byte, std::size_t n) {
  constexpr unsigned kPowers[] = {1, 3, 9, 27, 81};
  const unsigned left = (byte * kPowers[n]) & 0xff;
  return static_cast<int>((left * 3) >> 8);
}

// Columns of `num_bytes` bytes: digit n of byte m goes to out[n * num_bytes + m].
void write_digits(const std::uint8_t* bytes, std::size_t num_bytes, std::size_t num_digits, float d, float* out) {
  for (std::size_t n = 0; n < num_digits; ++n) {
    for (std::size_t m = 0; m < num_bytes; ++m) {
      out[n * num_bytes + m] = d * static_cast<float>(ternary_digit(bytes[m], n) - 1);
    }
  }
}

}  // namespace

void decode_tq1_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockTQ1_0, 256>(blocks, out, [](const BlockTQ1_0& block, float d, float* x) {
    write_digits(block.qs, 32, 5, d, x);
    write_digits(block.qs + 32, 16, 5, d, x + 160);
    write_digits(block.qh, 4, 4, d, x + 240);
  });
}

void decode_tq2_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockTQ2_0, 256>(blocks, out, [](const BlockTQ2_0& block, float d, float* x) {
    for (std::size_t e = 0; e < 256; ++e) {
      const int q = (block.qs[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2)) & 3;
      x[e] = d * static_cast<float>(q - 1);
    }
  });
}

void decode_q1_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ1_0, 128>(blocks, out, [](const BlockQ1_0& block, float d, float* x) {
    for (std::size_t j = 0; j < 128; ++j)
      x[j] = ((block.qs[j / 8] >> (j % 8)) & 1) != 0 ? d : -d;
  });
}

void decode_q2_0(const std::byte* blocks, std::span<float> out) {
  for_each_block<BlockQ2_0, 64>(blocks, out, [](const BlockQ2_0& block, float d, float* x) {
    for (std::size_t j = 0; j < 64; ++j) {
      const int q = (block.qs[j / 4] >> (j % 4 * 2)) & 3;
      x[j] = d * static_cast<float>(q - 1);
    }
  });
}

}  // namespace mlxr
