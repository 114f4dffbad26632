// safetensors of any bytes: an error or tensors whose bytes are all there.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file =
      mlxr::SafetensorsFile::parse({"fuzz.safetensors", {reinterpret_cast<const std::byte*>(data), size}, nullptr});
  if (!file.ok()) {
    if (file.status().message().find('\n') != std::string::npos) std::abort();
    return 0;
  }
  std::size_t total = 0;
  for (const auto& tensor : (*file)->tensors()) {
    if ((*file)->find(tensor.name) != &tensor) std::abort();
    unsigned sum = 0;
    for (const std::byte byte : tensor.bytes)
      sum += std::to_integer<unsigned>(byte);
    if (sum > 255 * tensor.bytes.size()) std::abort();
    total += tensor.bytes.size();
  }
  if (total + (*file)->data_offset() != size) std::abort();
  return 0;
}
