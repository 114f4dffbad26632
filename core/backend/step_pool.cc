#include "core/backend/step_pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>

#include "core/base/check.h"

namespace mlxr {
namespace {

constexpr std::size_t kAlignment = 64;
// Kernels may read (never write) up to one vector past the end of a row.
constexpr std::size_t kSlack = 64;

// Four classes a power of two: at most a fifth of a buffer is unused.
std::size_t size_class(std::size_t bytes) {
  const std::size_t needed = std::max<std::size_t>(bytes, 256);
  const std::size_t step = std::bit_ceil(needed) / 8;
  return (needed + step - 1) / step * step;
}

}  // namespace

std::shared_ptr<HostBuffer> HostBuffer::make(std::size_t size_bytes, bool zeroed) {
  if (size_bytes > SIZE_MAX - kSlack - 2 * kAlignment) return nullptr;
  const std::size_t padded = (size_bytes + kSlack + kAlignment - 1) / kAlignment * kAlignment;
  // calloc leaves the pages of a large area untouched until they are used: an empty KV cache costs nothing.
  void* memory = zeroed ? std::calloc(1, padded + kAlignment) : std::malloc(padded + kAlignment);
  if (memory == nullptr) return nullptr;
  return std::shared_ptr<HostBuffer>(new HostBuffer(memory, size_bytes));
}

HostBuffer::HostBuffer(void* memory, std::size_t size_bytes)
    : memory_(memory),
      data_(reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(memory) + kAlignment - 1) / kAlignment *
                                    kAlignment)),
      size_bytes_(size_bytes) {}

HostBuffer::~HostBuffer() {
  std::free(memory_);
}

Tensor StepPool::alloc(Shape shape, DType dtype) {
  const std::size_t bytes = size_class(static_cast<std::size_t>(shape.num_elements()) * dtype_bytes(dtype));
  // The smallest that is free and large enough, so that after the largest step no other needs more.
  for (auto at = classes_.lower_bound(bytes); at != classes_.end(); ++at) {
    auto& buffers = at->second;
    const auto free = std::find_if(buffers.begin(), buffers.end(), [](const auto& b) { return b.use_count() == 1; });
    if (free != buffers.end()) return {shape, dtype, *free};
  }
  // Steps have become larger: what is free is too small, and most of it would never be used again.
  trim();
  std::shared_ptr<HostBuffer> buffer = HostBuffer::make(bytes);
  MLXR_CHECK(buffer != nullptr, "no memory for an intermediate tensor");
  classes_[bytes].push_back(buffer);
  total_bytes_ += bytes;
  return {shape, dtype, std::move(buffer)};
}

void StepPool::trim() {
  for (auto& [bytes, buffers] : classes_) {
    const std::size_t size = bytes;
    std::erase_if(buffers, [&](const auto& buffer) {
      const bool free = buffer.use_count() == 1;
      if (free) total_bytes_ -= size;
      return free;
    });
  }
}

}  // namespace mlxr
