#pragma once
// Tensor: a cheap value handle {shape, dtype, place in a Buffer}. Always contiguous and row-major; a view is another
// handle on the same buffer. Who made a buffer says where its bytes are: a backend whose memory the host cannot address
// (a GPU, a lazy array) returns nullptr from host_data() and downcasts its own Buffer subclass instead.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/check.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace mlxr {

class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::size_t size_bytes() const = 0;
  // Start of the bytes when the host can address them, else nullptr.
  virtual void* host_data() = 0;
};

class Tensor {
 public:
  Tensor() = default;
  Tensor(Shape shape, DType dtype, std::shared_ptr<Buffer> buffer, std::size_t offset_bytes = 0)
      : shape_(shape), dtype_(dtype), buffer_(std::move(buffer)), offset_bytes_(offset_bytes) {}

  // An empty handle marks an absent optional tensor (a bias, say).
  explicit operator bool() const { return buffer_ != nullptr; }

  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }
  DType dtype() const { return dtype_; }
  std::size_t size_bytes() const { return static_cast<std::size_t>(shape_.num_elements()) * dtype_bytes(dtype_); }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  std::size_t offset_bytes() const { return offset_bytes_; }

  // The same elements under another shape of the same element count.
  Tensor reshape(Shape shape) const {
    MLXR_CHECK(shape.num_elements() == shape_.num_elements(), "reshape keeps the element count");
    return {shape, dtype_, buffer_, offset_bytes_};
  }

  // Host access; only for buffers with host_data(). T must have the size of the dtype.
  template <class T>
  T* data() const {
    MLXR_DCHECK(sizeof(T) == dtype_bytes(dtype_), "element type does not match the dtype");
    return reinterpret_cast<T*>(static_cast<std::byte*>(buffer_->host_data()) + offset_bytes_);
  }

 private:
  Shape shape_;
  DType dtype_ = DType::kF32;
  std::shared_ptr<Buffer> buffer_;
  std::size_t offset_bytes_ = 0;
};

}  // namespace mlxr
