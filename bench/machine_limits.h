#pragma once
// What this machine can do at most, measured with plain loops: the yardsticks that kernels are held against.

#include <cstddef>

#include "core/base/cpu_features.h"
#include "core/base/thread_pool.h"

namespace mlxr {

// Bytes a second that all threads of the pool read together from memory, best of a few passes over `bytes`.
double read_bandwidth(ThreadPool& pool, std::size_t bytes);

// Operations (a multiplication or an addition is one) a second of one core, in CPU time of the calling thread, by the
// best instructions of `features`: vpdpbusd, or vpmaddubsw with 16-bit additions, or sdot; and f32 fma.
// 0 where there is no such loop.
double int8_peak(const CpuFeatures& features);
double f32_peak(const CpuFeatures& features);

// CPU seconds of the calling thread.
double thread_cpu_seconds();

}  // namespace mlxr
