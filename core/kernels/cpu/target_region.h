#pragma once
// Regions of a file that are compiled for an instruction set which the rest of the program does not assume:
//
//   #include <everything that is shared>        // outside: standard headers, other headers of the project
//   MLXR_TARGET_REGION_BEGIN(MLXR_TARGET_AVX2)
//   ... functions that may use AVX2 ...
//   MLXR_TARGET_REGION_END
//
// Never a per-file or global -m flag: an inline function of a shared header compiled with one could be the copy that
// the linker keeps, and then crash on a lesser machine. For the same reason a region
//  - instantiates no template and calls no inline function of the standard library or of a shared header: only the
//    vocabulary (simd_*.h), kernels of its own, and plain out-of-line functions;
//  - uses no lambda (compilers disagree whether it gets the region's target);
//  - is the only one of its file, so that a header of generic kernels can be included in it: one file an instruction
//    set (x_avx2.cc, x_avx512.cc, ...), whose generic kernels are templates on the vocabulary type and so have names
//    of their own for each set.
// On other processors the file is empty (MLXR_X86 and MLXR_ARM64 say which this is).

#if defined(__x86_64__)
#define MLXR_X86 1
#define MLXR_ARM64 0
#elif defined(__aarch64__)
#define MLXR_X86 0
#define MLXR_ARM64 1
#else
#define MLXR_X86 0
#define MLXR_ARM64 0
#endif

// The features that a level of core/base/cpu_features.h implies, as the compilers spell them.
#define MLXR_TARGET_AVX2 "avx2,fma,f16c,bmi,bmi2"
#define MLXR_TARGET_AVX2_VNNI MLXR_TARGET_AVX2 ",avxvnni"
#define MLXR_TARGET_AVX512 MLXR_TARGET_AVX2 ",avx512f,avx512bw,avx512dq,avx512vl"
#define MLXR_TARGET_AVX512_VNNI MLXR_TARGET_AVX512 ",avx512vnni"
#define MLXR_TARGET_AVX512_BF16 MLXR_TARGET_AVX512_VNNI ",avx512bf16"
#define MLXR_TARGET_AMX MLXR_TARGET_AVX512_BF16 ",amx-tile,amx-int8,amx-bf16"
#if defined(__clang__)
#define MLXR_TARGET_NEON_DOTPROD "dotprod"
#define MLXR_TARGET_NEON_I8MM "dotprod,i8mm"
#else
#define MLXR_TARGET_NEON_DOTPROD "arch=armv8.2-a+dotprod"
#define MLXR_TARGET_NEON_I8MM "arch=armv8.2-a+dotprod+i8mm"
#endif

#define MLXR_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define MLXR_TARGET_REGION_BEGIN(target_features) \
  MLXR_PRAGMA(clang attribute push(__attribute__((target(target_features))), apply_to = function))
#define MLXR_TARGET_REGION_END MLXR_PRAGMA(clang attribute pop)
#else
// g++ 12 takes its own _mm512_undefined_ps() for a mistake of ours.
#define MLXR_TARGET_REGION_BEGIN(target_features)       \
  MLXR_PRAGMA(GCC push_options)                         \
  MLXR_PRAGMA(GCC diagnostic push)                      \
  MLXR_PRAGMA(GCC diagnostic ignored "-Wuninitialized") \
  MLXR_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized") MLXR_PRAGMA(GCC target(target_features))
#define MLXR_TARGET_REGION_END MLXR_PRAGMA(GCC diagnostic pop) MLXR_PRAGMA(GCC pop_options)
#endif

// For the smallest pieces. A call across different targets is then a compile error rather than a slow call.
#define MLXR_ALWAYS_INLINE inline __attribute__((always_inline))
