#pragma once
// HostWeight: a weight that host backends use as the file stores it, straight from the mapping. Row r of the matrix is
// the quant_row_bytes(type, in_features) bytes at r times that; rows are as aligned as the file made them.

#include <cstddef>
#include <memory>
#include <span>

#include "core/backend/weight.h"
#include "core/base/check.h"

namespace mlxr {

class HostWeight : public PreparedWeight {
 public:
  HostWeight(std::span<const std::byte> bytes, std::size_t row_bytes, std::shared_ptr<const void> keepalive)
      : bytes_(bytes), row_bytes_(row_bytes), keepalive_(std::move(keepalive)) {}

  std::size_t owned_bytes() const override { return 0; }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::size_t row_bytes() const { return row_bytes_; }
  std::span<const std::byte> row(std::int64_t index) const {
    return bytes_.subspan(static_cast<std::size_t>(index) * row_bytes_, row_bytes_);
  }

  // The storage of a weight that a host backend prepared.
  static const HostWeight& of(const Weight& weight) {
    const auto* host = dynamic_cast<const HostWeight*>(weight.prepared.get());
    MLXR_CHECK(host != nullptr, "the weight was prepared by another backend");
    return *host;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t row_bytes_;
  std::shared_ptr<const void> keepalive_;
};

}  // namespace mlxr
