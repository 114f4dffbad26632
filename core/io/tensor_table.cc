#include "core/io/tensor_table.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/base/checked.h"
#include "core/io/byte_reader.h"

namespace mlxr {
namespace {

std::size_t element_alignment(QuantType type) {
  const QuantInfo& info = quant_info(type);
  if (info.block_elements == 1) return info.block_bytes;
  return std::size_t{1} << std::min(std::countr_zero(info.block_bytes), 2);
}

void align_bytes(WeightTensor& tensor) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.bytes.data());
  if (tensor.bytes.empty() || address % element_alignment(tensor.type) == 0) return;
  const std::shared_ptr<std::byte[]> copy(new std::byte[tensor.bytes.size()]);
  std::memcpy(copy.get(), tensor.bytes.data(), tensor.bytes.size());
  tensor.bytes = {copy.get(), tensor.bytes.size()};
  tensor.keepalive = copy;
}

}  // namespace

std::optional<std::size_t> weight_bytes(QuantType type, std::span<const std::int64_t> dims) {
  // Zeros are left out of the product, so that no partial product of the shape can overflow either.
  std::int64_t rows = 1;
  bool empty = false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 0) return std::nullopt;
    empty = empty || dims[i] == 0;
    if (i + 1 == dims.size()) break;
    const auto product = checked_mul(rows, std::max<std::int64_t>(dims[i], 1));
    if (!product) return std::nullopt;
    rows = *product;
  }
  const std::int64_t innermost = dims.empty() ? 1 : dims.back();
  if (!checked_mul(rows, std::max<std::int64_t>(innermost, 1))) return std::nullopt;
  const auto row_bytes = quant_row_bytes(type, static_cast<std::size_t>(innermost));
  if (!row_bytes) return std::nullopt;
  const auto bytes = checked_mul(static_cast<std::size_t>(rows), *row_bytes);
  if (!bytes || !checked_cast<std::int64_t>(*bytes)) return std::nullopt;
  return empty ? 0 : *bytes;
}

Shape merged_shape(std::span<const std::int64_t> dims) {
  if (dims.size() <= Shape::kMaxRank) return Shape(dims);
  std::vector<std::int64_t> merged(dims.begin(), dims.begin() + Shape::kMaxRank);
  for (const std::int64_t dim : dims.subspan(Shape::kMaxRank))
    merged.back() *= dim;
  return Shape(merged);
}

Status TensorTable::add(WeightTensor tensor) {
  const auto [it, inserted] = index_.try_emplace(tensor.name, tensors_.size());
  if (!inserted) return corrupt("tensor " + quote_name(tensor.name) + " appears twice");
  align_bytes(tensor);
  tensors_.push_back(std::move(tensor));
  return {};
}

const WeightTensor* TensorTable::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

void TensorTable::reserve(std::size_t count) {
  tensors_.reserve(count);
  index_.reserve(count);
}

}  // namespace mlxr
