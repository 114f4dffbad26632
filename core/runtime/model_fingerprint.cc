#include "core/runtime/model_fingerprint.h"

#include <algorithm>

#include "core/quant/quant.h"
#include "core/runtime/kv/block_hash.h"

namespace mlxr {
namespace {

constexpr std::size_t kSlices = 16;
constexpr std::size_t kSliceBytes = 256;

void add_slices(Sha256& sha, std::span<const std::byte> bytes) {
  if (bytes.size() <= kSlices * kSliceBytes) {
    sha.update(bytes);
    return;
  }
  const std::size_t stride = (bytes.size() - kSliceBytes) / (kSlices - 1);
  for (std::size_t i = 0; i < kSlices; ++i)
    sha.update(bytes.subspan(i * stride, kSliceBytes));
}

}  // namespace

std::string model_fingerprint(const WeightSource& source) {
  Sha256 sha;
  for (const WeightTensor& tensor : source.tensors()) {
    sha.update_field(tensor.name).update_field(quant_info(tensor.type).name).update_field(tensor.shape.to_string());
    add_slices(sha, tensor.bytes);
  }
  return sha.finish().hex();
}

}  // namespace mlxr
