// Any bytes are blocks of every type, and any floats can be encoded: neither may read out of bounds or give a block
// that does not decode to finite values.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "core/quant/quant.h"

namespace mlxr {
namespace {

void decode_whole_blocks(const QuantInfo& info, std::span<const std::byte> bytes) {
  const std::size_t blocks = bytes.size() / info.block_bytes;
  std::vector<float> out(blocks * info.block_elements);
  decode_row(info.type, bytes.first(blocks * info.block_bytes), out);
}

// The first half of the floats are values and the second half their importance.
void encode_whole_blocks(const QuantInfo& info, std::span<const float> floats) {
  const std::size_t elements = floats.size() / 2 / info.block_elements * info.block_elements;
  std::vector<std::byte> bytes(*quant_row_bytes(info.type, elements));
  std::vector<float> out(elements);
  for (const std::size_t weights : {std::size_t{0}, elements}) {
    encode_row(info.type, floats.first(elements), floats.subspan(elements, weights), bytes);
    decode_row(info.type, bytes, out);
    for (const float value : out) {
      if (is_quantized(info.type) && !std::isfinite(value)) std::abort();
    }
  }
}

}  // namespace
}  // namespace mlxr

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<float> floats(size / sizeof(float));
  if (!floats.empty()) std::memcpy(floats.data(), data, floats.size() * sizeof(float));
  for (const mlxr::QuantInfo& info : mlxr::all_quant_types()) {
    if (info.decode != nullptr) mlxr::decode_whole_blocks(info, std::as_bytes(std::span(data, size)));
    if (info.encode != nullptr) mlxr::encode_whole_blocks(info, floats);
  }
  return 0;
}
