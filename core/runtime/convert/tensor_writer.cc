#include "core/runtime/convert/tensor_writer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

// Bytes of f32 in flight at once.
constexpr std::size_t kSlabBytes = std::size_t{32} << 20;

// A one-dimensional tensor is permuted by elements, like a matrix of one column.
struct Rows {
  std::int64_t count = 0;
  std::int64_t columns = 0;
};

Rows rows_of(const PlannedTensor& tensor) {
  const Shape& shape = tensor.source.shape;
  const bool by_element = tensor.permutation != RowPermutation::kNone && shape.rank() == 1;
  return by_element ? Rows{shape[0], 1} : Rows{shape.rows(), shape.back()};
}

std::int64_t source_row(const PlannedTensor& tensor, std::int64_t row) {
  if (tensor.permutation == RowPermutation::kNone) return row;
  const std::int64_t half = tensor.head_rows / 2;
  const std::int64_t start = row / tensor.head_rows * tensor.head_rows;
  const std::int64_t i = row - start;
  if (tensor.permutation == RowPermutation::kInterleave) return start + i % 2 * half + i / 2;
  return start + i % half * 2 + i / half;
}

Status check(const PlannedTensor& tensor) {
  const QuantInfo& from = quant_info(tensor.source.type);
  const QuantInfo& to = quant_info(tensor.type);
  if (tensor.source.type != tensor.type && from.decode == nullptr) {
    return unsupported(fmt::format("tensor \"{}\": type {} cannot be converted", tensor.source.name, from.name));
  }
  if (tensor.source.type != tensor.type && to.encode == nullptr) {
    return unsupported(fmt::format("tensor \"{}\": type {} cannot be written", tensor.name, to.name));
  }
  const bool whole_heads =
      tensor.permutation == RowPermutation::kNone ||
      (tensor.head_rows > 0 && tensor.head_rows % 2 == 0 && rows_of(tensor).count % tensor.head_rows == 0);
  if (!whole_heads) {
    return invalid_argument(fmt::format("tensor \"{}\": {} rows are not whole heads of {}", tensor.source.name,
                                        rows_of(tensor).count, tensor.head_rows));
  }
  return {};
}

class Converter {
 public:
  Converter(const PlannedTensor& tensor, std::vector<float> importance, ThreadPool& pool)
      : tensor_(tensor), importance_(std::move(importance)), pool_(pool), rows_(rows_of(tensor)) {
    source_row_bytes_ = tensor.source.bytes.size() / static_cast<std::size_t>(std::max<std::int64_t>(rows_.count, 1));
    row_bytes_ = *quant_row_bytes(tensor.type, static_cast<std::size_t>(rows_.columns));
  }

  Status write(WeightWriter& writer) {
    const bool as_is = tensor_.source.type == tensor_.type && tensor_.permutation == RowPermutation::kNone;
    if (as_is) return writer.write_tensor_data(tensor_.source.bytes);
    const auto row_floats = static_cast<std::size_t>(rows_.columns) * sizeof(float);
    const auto slab =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(kSlabBytes / std::max<std::size_t>(row_floats, 1)));
    std::vector<std::byte> out;
    for (std::int64_t start = 0; start < rows_.count; start += slab) {
      const std::int64_t count = std::min(slab, rows_.count - start);
      out.resize(static_cast<std::size_t>(count) * row_bytes_);
      convert(start, count, out);
      MLXR_RETURN_IF_ERROR(writer.write_tensor_data(out));
    }
    return {};
  }

  double relative_error() const { return sum_squares_ > 0.0 ? std::sqrt(error_squares_ / sum_squares_) : 0.0; }

 private:
  struct Error {
    double error = 0.0;
    double values = 0.0;
  };

  void convert(std::int64_t start, std::int64_t count, std::span<std::byte> out) {
    std::vector<Error> errors(static_cast<std::size_t>(count));
    const auto grain = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(rows_.columns, 1));
    pool_.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end, int) {
      std::vector<float> values(static_cast<std::size_t>(rows_.columns));
      std::vector<float> decoded(values.size());
      for (std::int64_t i = begin; i < end; ++i) {
        const auto index = static_cast<std::size_t>(i);
        errors[index] = convert_row(start + i, out.subspan(index * row_bytes_, row_bytes_), values, decoded);
      }
    });
    for (const Error& error : errors) {
      error_squares_ += error.error;
      sum_squares_ += error.values;
    }
  }

  Error convert_row(std::int64_t row, std::span<std::byte> out, std::span<float> values,
                    std::span<float> decoded) const {
    const auto place = static_cast<std::size_t>(source_row(tensor_, row)) * source_row_bytes_;
    const auto bytes = tensor_.source.bytes.subspan(place, source_row_bytes_);
    if (tensor_.source.type == tensor_.type) {
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return {};
    }
    decode_row(tensor_.source.type, bytes, values);
    encode_row(tensor_.type, values, importance_, out);
    decode_row(tensor_.type, out, decoded);
    Error error;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double difference = static_cast<double>(values[i]) - static_cast<double>(decoded[i]);
      error.error += difference * difference;
      error.values += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
    return error;
  }

  const PlannedTensor& tensor_;
  std::vector<float> importance_;
  ThreadPool& pool_;
  Rows rows_;
  std::size_t source_row_bytes_ = 0;
  std::size_t row_bytes_ = 0;
  double error_squares_ = 0.0;
  double sum_squares_ = 0.0;
};

Result<std::vector<float>> importance_of(const PlannedTensor& tensor, const Importance* importance) {
  if (importance == nullptr || !is_quantized(tensor.type)) return std::vector<float>{};
  std::vector<float> weights = importance->weights(tensor.name);
  if (!weights.empty() && static_cast<std::int64_t>(weights.size()) != tensor.source.shape.back()) {
    return invalid_argument(fmt::format("tensor \"{}\": an importance of {} columns does not fit shape {}", tensor.name,
                                        weights.size(), tensor.source.shape.to_string()));
  }
  return weights;
}

}  // namespace

Status write_tensors(WeightWriter& writer, std::span<const PlannedTensor> tensors, ThreadPool& pool,
                     const TensorWriteOptions& options) {
  for (const PlannedTensor& tensor : tensors) {
    MLXR_RETURN_IF_ERROR(check(tensor));
    MLXR_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, tensor.source.shape));
  }
  for (const PlannedTensor& tensor : tensors) {
    MLXR_ASSIGN_OR_RETURN(std::vector<float> importance, importance_of(tensor, options.importance));
    Converter converter(tensor, std::move(importance), pool);
    MLXR_RETURN_IF_ERROR(converter.write(writer));
    if (!options.on_tensor) continue;
    const std::size_t row_bytes = *quant_row_bytes(tensor.type, static_cast<std::size_t>(tensor.source.shape.back()));
    options.on_tensor({.name = tensor.name,
                       .from = tensor.source.type,
                       .to = tensor.type,
                       .bytes = row_bytes * static_cast<std::size_t>(tensor.source.shape.rows()),
                       .relative_error = converter.relative_error()});
  }
  return writer.finish();
}

}  // namespace mlxr
