#pragma once
// MLXR_UNROLL before a loop of a few iterations: the compiler writes them out, so that what they keep stays in
// registers.

#if defined(__clang__)
#define MLXR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MLXR_UNROLL _Pragma("GCC unroll 16")
#endif
