#pragma once
// The table of matmul kernels: one MatmulKernels an instruction set, one row a weight type. Nothing here knows of
// threads or tensors; matmul.h does.
//
// The arithmetic of a result is fixed, so that it has the same bits in every kernel of an instruction set, however many
// tokens and rows are computed together (kernels of quantised types even agree across instruction sets):
//
//  - Quantised types: a row is cut into chunks of 1024 elements. In a chunk, block b of 32 adds to accumulator b % 8:
//      acc = fma(float(isum), scale_w * scale_x, acc), then, in types with a minimum, acc = fma(-min_w, sum_x, acc)
//    where isum is an exact integer; the eight accumulators are folded (4, 2, 1 apart) and added to the total.
//  - Floats: in a chunk of 512, element k adds to accumulator k % 16 by fma (the portable kernels: multiply and add);
//    the sixteen are folded (8, 4, 2, 1 apart) and added to the total. Types without kernels of their own are decoded
//    to f32 and take this path.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/cpu_features.h"
#include "core/kernels/cpu/activation_panel.h"
#include "core/kernels/cpu/quantized_rows.h"
#include "core/quant/quant.h"

namespace mlxr {

inline constexpr std::int64_t kChunkElements = 1024;
inline constexpr std::int64_t kFloatChunkElements = 512;
inline constexpr std::int64_t kChunkGroups = kChunkElements / kGroupElements;
// Rows that a kernel computes in one call, at most.
inline constexpr std::int64_t kMaxTileRows = 32;

// Rows of a weight, as stored: row r starts at data + r * row_bytes, unaligned.
struct WeightRows {
  QuantType type;
  const std::byte* data;
  std::size_t row_bytes;
  std::int64_t num_rows;        // at most kMaxTileRows
  std::int64_t following_rows;  // at `data` that may be read ahead, num_rows among them
  std::int64_t elements;        // in a row: in_features
};

// Where results go: result of (token, row) at data[token * stride + row]. Kernels may write the places of rows up to
// the next multiple of kMaxTileRows, so the stride is at least that.
struct DotOutput {
  float* data;
  std::int64_t stride;
};

// Decodes elements [first, first + count) of a row to f32, then zeroes up to the next multiple of sixteen. `first` is a
// multiple of the type's block; so is `count`.
void decode_chunk(const WeightRows& rows, std::int64_t row, std::int64_t first, std::int64_t count, float* out);

// Memory of one worker: decoded weights.
struct alignas(64) TileScratch {
  std::byte bytes[96 * kChunkElements];
};

// x: num_groups(elements) groups a token, one token after the other; or, for `many` of a table with make_panel, as many
// panels for every eight tokens, those past the last token zero.
using QuantDotFn = void (*)(const WeightRows& rows, const ActivationGroup* x, std::int64_t tokens, TileScratch& scratch,
                            DotOutput out);

struct FloatInput {
  const float* data;    // [tokens, stride]
  std::int64_t stride;  // a multiple of 16, at least `elements`; the elements between are zero
};
using FloatDotFn = void (*)(const WeightRows& rows, FloatInput x, std::int64_t tokens, TileScratch& scratch,
                            DotOutput out);

struct QuantDotKernel {
  QuantType type;
  QuantDotFn few;   // straight from the stored blocks: few tokens
  QuantDotFn many;  // decodes a tile of rows once for all tokens
};

struct FloatDotKernel {
  QuantType type;
  FloatDotFn few;
  FloatDotFn many;
};

struct MatmulKernels {
  const char* name;
  QuantizeRowFn quantize_row;
  MakePanelFn make_panel;  // null: `many` reads groups
  std::span<const QuantDotKernel> quantized;
  std::span<const FloatDotKernel> floats;
  FloatDotFn decoded;             // any type that decodes
  std::int64_t few_tokens;        // of quantised types: up to so many tokens `few` is the faster one
  std::int64_t few_float_tokens;  // of float types
};

// Kernels for a processor with `features`.
const MatmulKernels& matmul_kernels(const CpuFeatures& features);

extern const MatmulKernels kReferenceMatmulKernels;
#if defined(__x86_64__)
extern const MatmulKernels kAvx2MatmulKernels;
extern const MatmulKernels kAvx2VnniMatmulKernels;
extern const MatmulKernels kAvx512VnniMatmulKernels;
#elif defined(__aarch64__)
extern const MatmulKernels kNeonMatmulKernels;
extern const MatmulKernels kNeonDotprodMatmulKernels;
#endif

}  // namespace mlxr
