#pragma once
// Weight: a matrix or table as a backend keeps it. prepare_weight() may repack the file's blocks into a private layout;
// the quant type stays what the file says. Immutable after preparation; copies share the storage.

#include <memory>
#include <string>

#include "core/quant/quant.h"
#include "core/tensor/shape.h"

namespace mlxr {

// Base of a backend's private weight storage.
class PreparedWeight {
 public:
  virtual ~PreparedWeight() = default;
  // Bytes held in memory of its own; 0 when the file's mapping is used as it is.
  virtual std::size_t owned_bytes() const = 0;
};

struct Weight {
  std::string name;
  QuantType type = QuantType::kF32;
  Shape shape;  // [out_features, in_features]; an embedding table is [vocab, hidden]
  std::shared_ptr<const PreparedWeight> prepared;

  // An empty handle marks an absent optional weight.
  explicit operator bool() const { return prepared != nullptr; }
};

}  // namespace mlxr
