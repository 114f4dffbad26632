#pragma once
// Keys and values in types with scales (kv_type.def), and where they lie in the tiles of HostKvStorage.
//
// A head of one token is a row of spans: elements that share a scale (kv_scale_span), each an f16 scale, then its
// codes.
//   q8_0      x = scale * code, code in -127 .. 127; scale = max |x| / 127
//   q4_0      x = scale * code, code in -8 .. 7; byte j of a span holds element j in its low half and element j + 16 in
//             its high half, two's complement; scale = the element of largest size / -8
//   fp8_e4m3  x = scale * code, code an OCP E4M3 float; scale = max |x| / 448, the largest code, so that nothing of a
//             head is lost to the type's range; values beyond it (the scale is rounded) saturate
// Codes are of x / scale with the scale as stored, rounded to nearest even. A span with an infinity or a NaN has a NaN
// scale. scale * code is exact in f32.
//
//   value tile  the rows of block_tokens tokens, one after the other
//   key tile    transposed as in host_kv_storage.h: for each span, the scales of key_stride tokens, then each byte of
//               the codes for key_stride tokens
//
// q4_0 keeps rotated heads (KvLayout::rotate): a Hadamard matrix spreads an outlier over all elements, which four bits
// need. It is orthonormal, so scores of rotated queries and keys are those of the originals, and a sum of rotated
// values is turned back once. The idea: Ashkboos et al., QuaRot, arXiv:2404.00456.

#include <cstddef>
#include <cstdint>

#include "core/backend/kv_storage.h"

namespace mlxr {

// x [n] times an orthonormal Hadamard matrix, its own inverse: of order n where that is a power of two, else of the
// powers of two that n is the sum of, the largest first, block by block.
void hadamard(float* x, std::int64_t n);
void hadamard(double* x, std::int64_t n);

// Whether heads of this layout are kept rotated.
bool is_rotated(const KvLayout& layout);

// E4M3, saturating, to nearest even; NaN becomes the NaN code.
std::uint8_t f32_to_e4m3(float value);
float e4m3_to_f32(std::uint8_t code);

// A row of kv_row_bytes(type, n) from x [n], which is rotated first if the layout says so, and back (still rotated).
// Types with scales only. `x` is changed.
void encode_kv_row(const KvLayout& layout, float* x, std::int64_t n, std::byte* row);
void decode_kv_row(KvType type, const std::byte* row, std::int64_t n, float* x);

// A row into column `token` of a key tile, and back.
void scatter_key_row(KvType type, const std::byte* row, std::int64_t n, std::int64_t key_stride, std::int64_t token,
                     std::byte* tile);
void gather_key_row(KvType type, const std::byte* tile, std::int64_t n, std::int64_t key_stride, std::int64_t token,
                    std::byte* row);

}  // namespace mlxr
