#include "core/quant/plain.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/base/float16.h"

namespace mlxr {
namespace {

// Reads unaligned element `i` of a packed array.
template <class T>
T load(const std::byte* data, std::size_t i) {
  T value;
  std::memcpy(&value, data + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void store(std::byte* data, std::size_t i, T value) {
  std::memcpy(data + i * sizeof(T), &value, sizeof(T));
}

float f8_e4m3_to_f32(std::uint8_t bits) {
  const float sign = (bits & 0x80) != 0 ? -1.0F : 1.0F;
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::nanf("");
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

}  // namespace

void decode_f32(const std::byte* blocks, std::span<float> out) {
  // std::copy_n takes an empty row's null pointer, which std::memcpy may not.
  std::copy_n(blocks, out.size_bytes(), std::as_writable_bytes(out).data());
}

void decode_f16(const std::byte* blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = f16_to_f32(load<std::uint16_t>(blocks, i));
}

void decode_bf16(const std::byte* blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = bf16_to_f32(load<std::uint16_t>(blocks, i));
}

void decode_f64(const std::byte* blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(load<double>(blocks, i));
}

void decode_f8_e4m3(const std::byte* blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = f8_e4m3_to_f32(load<std::uint8_t>(blocks, i));
}

void decode_f8_e5m2(const std::byte* blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = f16_to_f32(static_cast<std::uint16_t>(load<std::uint8_t>(blocks, i) << 8));
  }
}

void encode_f32(std::span<const float> in, std::span<const float> /*importance*/, std::byte* blocks) {
  std::copy_n(std::as_bytes(in).data(), in.size_bytes(), blocks);
}

void encode_f16(std::span<const float> in, std::span<const float> /*importance*/, std::byte* blocks) {
  for (std::size_t i = 0; i < in.size(); ++i)
    store(blocks, i, f32_to_f16(in[i]));
}

void encode_bf16(std::span<const float> in, std::span<const float> /*importance*/, std::byte* blocks) {
  for (std::size_t i = 0; i < in.size(); ++i)
    store(blocks, i, f32_to_bf16(in[i]));
}

}  // namespace mlxr
