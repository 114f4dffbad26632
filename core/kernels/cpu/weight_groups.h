#pragma once
// PortableGroup of every type with integer kernels, and the list of those types.

#include "core/kernels/cpu/weight_groups_iq.h"
#include "core/kernels/cpu/weight_groups_k.h"
#include "core/kernels/cpu/weight_groups_legacy.h"

// MLXR_INTEGER_TYPES(X): X(name) for each.
// clang-format off
#define MLXR_INTEGER_TYPES(X)                                                      \
  X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(IQ4_NL) X(MXFP4)                       \
  X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)                                          \
  X(IQ4_XS) X(IQ2_XXS) X(IQ2_XS) X(IQ2_S) X(IQ3_XXS) X(IQ3_S) X(IQ1_S) X(IQ1_M)    \
  X(TQ1_0) X(TQ2_0) X(Q1_0) X(Q2_0)
// clang-format on
