#include "core/backend/kv_codec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/check.h"
#include "core/base/float16.h"

namespace mlxr {
namespace {

constexpr std::int64_t kScaleBytes = 2;
constexpr float kLargestF16 = 65504.0F;
constexpr float kLargestE4m3 = 448.0F;

template <class T>
void rotate_power_of_two(T* x, std::int64_t n) {
  for (std::int64_t half = 1; half < n; half *= 2) {
    for (std::int64_t block = 0; block < n; block += 2 * half) {
      for (std::int64_t i = block; i < block + half; ++i) {
        const T a = x[i];
        const T b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  const T factor = 1 / std::sqrt(static_cast<T>(n));
  for (std::int64_t i = 0; i < n; ++i)
    x[i] *= factor;
}

template <class T>
void rotate(T* x, std::int64_t n) {
  while (n > 0) {
    const auto piece = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n)));
    rotate_power_of_two(x, piece);
    x += piece;
    n -= piece;
  }
}

// To the nearest integer, ties to even; |x| < 2^22.
float round_even(float x) {
  constexpr float kRounder = 12582912.0F;
  return (x + kRounder) - kRounder;
}

struct SpanShape {
  std::int64_t elements;
  std::int64_t code_bytes;
  std::int64_t bytes() const { return kScaleBytes + code_bytes; }
};

SpanShape span_shape(KvType type, std::int64_t n) {
  const std::int64_t elements = kv_scale_span(type, n);
  return {elements, elements * kv_type_info(type).code_bits / 8};
}

// What the scale of a span is before it is rounded to f16.
float wanted_scale(KvType type, const float* x, std::int64_t n) {
  float top = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) return std::nanf("");
    if (std::fabs(x[i]) > std::fabs(top)) top = x[i];
  }
  if (type == KvType::kQ4_0) return top / -8.0F;
  return std::fabs(top) / (type == KvType::kQ8_0 ? 127.0F : kLargestE4m3);
}

std::uint8_t level(float x, float inverse, float lowest, float highest) {
  const float rounded = round_even(std::clamp(x * inverse, lowest, highest));
  return static_cast<std::uint8_t>(static_cast<std::int8_t>(rounded));
}

void encode_span(KvType type, const float* x, std::int64_t n, std::byte* span) {
  const std::uint16_t bits = f32_to_f16(std::clamp(wanted_scale(type, x, n), -kLargestF16, kLargestF16));
  std::memcpy(span, &bits, sizeof(bits));
  const float scale = f16_to_f32(bits);
  const float inverse = scale == 0.0F || std::isnan(scale) ? 0.0F : 1.0F / scale;
  auto* codes = reinterpret_cast<std::uint8_t*>(span) + kScaleBytes;
  if (inverse == 0.0F) {
    std::memset(codes, 0, static_cast<std::size_t>(n * kv_type_info(type).code_bits / 8));
  } else if (type == KvType::kQ8_0) {
    for (std::int64_t i = 0; i < n; ++i)
      codes[i] = level(x[i], inverse, -127.0F, 127.0F);
  } else if (type == KvType::kQ4_0) {
    for (std::int64_t i = 0; i < n / 2; ++i) {
      const int low = level(x[i], inverse, -8.0F, 7.0F) & 15;
      codes[i] = static_cast<std::uint8_t>(low | (level(x[i + n / 2], inverse, -8.0F, 7.0F) << 4));
    }
  } else {
    for (std::int64_t i = 0; i < n; ++i)
      codes[i] = f32_to_e4m3(x[i] * inverse);
  }
}

void decode_span(KvType type, const std::byte* span, std::int64_t n, float* x) {
  std::uint16_t bits;
  std::memcpy(&bits, span, sizeof(bits));
  const float scale = f16_to_f32(bits);
  const auto* codes = reinterpret_cast<const std::uint8_t*>(span) + kScaleBytes;
  for (std::int64_t i = 0; i < n; ++i) {
    if (type == KvType::kQ8_0) {
      x[i] = scale * static_cast<float>(static_cast<std::int8_t>(codes[i]));
    } else if (type == KvType::kQ4_0) {
      const int nibble = i < n / 2 ? codes[i] & 15 : codes[i - n / 2] >> 4;
      x[i] = scale * static_cast<float>(nibble < 8 ? nibble : nibble - 16);
    } else {
      x[i] = scale * e4m3_to_f32(codes[i]);
    }
  }
}

// Calls fn(byte in the row, byte in the tile, number of neighbours in the row) for each scale and each code of a
// column.
template <class Fn>
void for_each_place(KvType type, std::int64_t n, std::int64_t key_stride, std::int64_t token, Fn fn) {
  const SpanShape span = span_shape(type, n);
  for (std::int64_t s = 0; s < n / span.elements; ++s) {
    const std::int64_t row = s * span.bytes();
    const std::int64_t tile = row * key_stride;
    fn(row, tile + kScaleBytes * token, kScaleBytes);
    for (std::int64_t i = 0; i < span.code_bytes; ++i)
      fn(row + kScaleBytes + i, tile + (kScaleBytes + i) * key_stride + token, 1);
  }
}

}  // namespace

void hadamard(float* x, std::int64_t n) {
  rotate(x, n);
}

void hadamard(double* x, std::int64_t n) {
  rotate(x, n);
}

bool is_rotated(const KvLayout& layout) {
  return layout.type == KvType::kQ4_0 && layout.rotate;
}

std::uint8_t f32_to_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7fU;
  if (magnitude >= 0x43e80000U) return sign | 0x7eU;      // 464, halfway from 448 to where 480 would be, and above
  constexpr std::uint32_t kSmallestNormal = 0x3c800000U;  // 2^-6
  if (magnitude < kSmallestNormal) {
    return static_cast<std::uint8_t>(sign | static_cast<std::uint8_t>(round_even(std::fabs(value) * 512.0F)));
  }
  const std::uint32_t rounded = magnitude + 0x7ffffU + ((magnitude >> 20) & 1U);
  return static_cast<std::uint8_t>(sign | std::min<std::uint32_t>((rounded >> 20) - (120U << 3), 0x7eU));
}

float e4m3_to_f32(std::uint8_t code) {
  const int exponent = (code >> 3) & 15;
  const int mantissa = code & 7;
  float size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                             : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if ((code & 0x7f) == 0x7f) size = std::nanf("");
  return (code & 0x80) != 0 ? -size : size;
}

void encode_kv_row(const KvLayout& layout, float* x, std::int64_t n, std::byte* row) {
  MLXR_CHECK(kv_type_info(layout.type).has_scales(), "a KV type with scales");
  if (is_rotated(layout)) hadamard(x, n);
  const SpanShape span = span_shape(layout.type, n);
  for (std::int64_t s = 0; s < n / span.elements; ++s)
    encode_span(layout.type, x + s * span.elements, span.elements, row + s * span.bytes());
}

void decode_kv_row(KvType type, const std::byte* row, std::int64_t n, float* x) {
  const SpanShape span = span_shape(type, n);
  for (std::int64_t s = 0; s < n / span.elements; ++s)
    decode_span(type, row + s * span.bytes(), span.elements, x + s * span.elements);
}

void scatter_key_row(KvType type, const std::byte* row, std::int64_t n, std::int64_t key_stride, std::int64_t token,
                     std::byte* tile) {
  for_each_place(type, n, key_stride, token, [&](std::int64_t in_row, std::int64_t in_tile, std::int64_t bytes) {
    std::copy_n(row + in_row, bytes, tile + in_tile);
  });
}

void gather_key_row(KvType type, const std::byte* tile, std::int64_t n, std::int64_t key_stride, std::int64_t token,
                    std::byte* row) {
  for_each_place(type, n, key_stride, token, [&](std::int64_t in_row, std::int64_t in_tile, std::int64_t bytes) {
    std::copy_n(tile + in_tile, bytes, row + in_row);
  });
}

}  // namespace mlxr
