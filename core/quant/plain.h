#pragma once
// Types without blocks: floats of several widths, one element each.

#include <cstddef>
#include <span>

namespace mlxr {

void decode_f32(const std::byte* blocks, std::span<float> out);
void decode_f16(const std::byte* blocks, std::span<float> out);
void decode_bf16(const std::byte* blocks, std::span<float> out);
void decode_f64(const std::byte* blocks, std::span<float> out);
// OCP 8-bit floats: E4M3 has no infinity and one NaN a sign, E5M2 is the upper half of binary16.
void decode_f8_e4m3(const std::byte* blocks, std::span<float> out);
void decode_f8_e5m2(const std::byte* blocks, std::span<float> out);

// `importance` is ignored: rounding to nearest is best for every weight.
void encode_f32(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_f16(std::span<const float> in, std::span<const float> importance, std::byte* blocks);
void encode_bf16(std::span<const float> in, std::span<const float> importance, std::byte* blocks);

}  // namespace mlxr
