#include "core/kernels/cpu/matmul_kernels.h"

#include <algorithm>

namespace mlxr {

void decode_chunk(const WeightRows& rows, std::int64_t row, std::int64_t first, std::int64_t count, float* out) {
  const QuantInfo& info = quant_info(rows.type);
  const std::size_t blocks = static_cast<std::size_t>(first) / info.block_elements;
  info.decode(rows.data + static_cast<std::size_t>(row) * rows.row_bytes + blocks * info.block_bytes,
              {out, static_cast<std::size_t>(count)});
  std::fill(out + count, out + (count + 15) / 16 * 16, 0.0F);
}

const MatmulKernels& matmul_kernels([[maybe_unused]] const CpuFeatures& features) {
#if defined(__x86_64__)
  if (features.avx512_vnni) return kAvx512VnniMatmulKernels;
  if (features.avx_vnni) return kAvx2VnniMatmulKernels;
  if (features.avx2) return kAvx2MatmulKernels;
#elif defined(__aarch64__)
  if (features.dotprod) return kNeonDotprodMatmulKernels;
  if (features.neon) return kNeonMatmulKernels;
#endif
  return kReferenceMatmulKernels;
}

}  // namespace mlxr
