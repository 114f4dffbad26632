#pragma once
// MLXR_UNROLL before a loop of a few iterations: the compiler writes them out, so that what they keep stays in
// registers.

#if defined(__clang__)
#define MLXR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MLXR_UNROLL _Pragma("GCC unroll 16")
#endif

// MLXR_SETTLE(vector): the vector is computed by now. Keeps a compiler from regrouping a chain of integer additions
// into a tree, whose many leaves would not fit the registers.
#if defined(__x86_64__)
#define MLXR_SETTLE(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define MLXR_SETTLE(vector) __asm__("" : "+w"(vector))
#endif
