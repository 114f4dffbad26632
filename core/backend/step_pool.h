#pragma once
// StepPool: host buffers for the intermediates of a step. A buffer is free again when its last Tensor handle dies, so a
// layer's temporaries serve the next layer, and a steady step allocates nothing. The same sequence of calls gives the
// same buffers. Not thread-safe: the engine thread owns it. Buffers are 64-byte aligned with 64 bytes of slack at the
// end.

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "core/tensor/tensor.h"

namespace mlxr {

// Heap bytes with the alignment that kernels like. Contents are uninitialised unless `zeroed`.
class HostBuffer : public Buffer {
 public:
  // nullptr when the system has no memory left.
  static std::shared_ptr<HostBuffer> make(std::size_t size_bytes, bool zeroed = false);
  ~HostBuffer() override;
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  std::size_t size_bytes() const override { return size_bytes_; }
  void* host_data() override { return data_; }

 private:
  HostBuffer(void* memory, std::size_t size_bytes);

  void* memory_;  // as the system gave it
  void* data_;    // aligned
  std::size_t size_bytes_;
};

class StepPool {
 public:
  // Aborts when the system has no memory: the memory plan is made before a step starts.
  Tensor alloc(Shape shape, DType dtype);
  // Bytes of all buffers, free or not.
  std::size_t total_bytes() const { return total_bytes_; }
  // Gives free buffers back to the system.
  void trim();

 private:
  // Size class in bytes -> its buffers; one is free when only the pool holds it.
  std::map<std::size_t, std::vector<std::shared_ptr<HostBuffer>>> classes_;
  std::size_t total_bytes_ = 0;
};

}  // namespace mlxr
