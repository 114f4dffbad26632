#pragma once
// Activations of eight tokens side by side, for kernels whose lanes are tokens: a register holds the four elements
// 4s .. 4s+3 of each, and four quants of a weight row, broadcast, meet them all. Weights are then read as they lie, and
// nothing of theirs is transposed.
//
// A panel takes the place of the eight ActivationGroups (quantized_rows.h) that it is made of: panel p of group g of a
// matrix lies where row 8p's groups begin, at index g.

#include <cstdint>

#include "core/kernels/cpu/quantized_rows.h"

namespace mlxr {

inline constexpr std::int64_t kPanelTokens = 8;

struct alignas(64) ActivationPanel {
  std::int8_t q[64][kPanelTokens][4];     // [element / 4][token][element % 4]
  float scale[8][kPanelTokens];           // [block][token]
  float scaled_sum[8][kPanelTokens];      // scale * sum of the block's quants
  std::int16_t sum[16][kPanelTokens][2];  // [half block][token]: of the elements with e % 4 < 2, and of the others
};
static_assert(sizeof(ActivationPanel) == kPanelTokens * sizeof(ActivationGroup));

// Makes a panel of one group of eight tokens.
using MakePanelFn = void (*)(const ActivationGroup (&groups)[kPanelTokens], ActivationPanel& panel);

}  // namespace mlxr
