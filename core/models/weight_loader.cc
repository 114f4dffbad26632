#include "core/models/weight_loader.h"

#include <fmt/core.h>

namespace mlxr {
namespace {

Status wrong_shape(const WeightTensor& tensor, const Shape& expected) {
  return invalid_argument(fmt::format("tensor \"{}\": shape {} does not fit the model's config, which needs {}",
                                      tensor.name, tensor.shape.to_string(), expected.to_string()));
}

}  // namespace

const WeightTensor* WeightLoader::take(const std::string& name) {
  const WeightTensor* tensor = source_.find(name);
  if (tensor != nullptr) used_.insert(name);
  return tensor;
}

bool WeightLoader::has(const TensorRow& row, std::int64_t layer) const {
  return source_.find(tensor_stem(row, naming_, layer) + ".weight") != nullptr;
}

Result<Weight> WeightLoader::matrix(const TensorRow& row, std::int64_t layer, Shape shape) {
  const std::string name = tensor_stem(row, naming_, layer) + ".weight";
  const WeightTensor* tensor = take(name);
  if (tensor == nullptr) return not_found(fmt::format("tensor \"{}\" is missing", name));
  if (!(tensor->shape == shape)) return wrong_shape(*tensor, shape);
  Result<Weight> weight = backend_.prepare_weight(*tensor);
  if (!weight.ok()) return weight.status().with_context(fmt::format("tensor \"{}\"", name));
  return weight;
}

Result<Tensor> WeightLoader::constant(const WeightTensor& tensor, std::int64_t n) {
  if (!(tensor.shape == Shape{n})) return wrong_shape(tensor, Shape{n});
  if (quant_info(tensor.type).decode == nullptr) {
    return unsupported(
        fmt::format("tensor \"{}\": type {} is not a number format", tensor.name, quant_info(tensor.type).name));
  }
  std::vector<float> values(static_cast<std::size_t>(n));
  decode_row(tensor.type, tensor.bytes, values);
  return backend_.make_constant({n}, DType::kF32, std::as_bytes(std::span(values)));
}

Result<Tensor> WeightLoader::vector(const TensorRow& row, std::int64_t layer, std::int64_t n) {
  const std::string name = tensor_stem(row, naming_, layer) + ".weight";
  const WeightTensor* tensor = take(name);
  if (tensor == nullptr) return not_found(fmt::format("tensor \"{}\" is missing", name));
  return constant(*tensor, n);
}

Result<Tensor> WeightLoader::bias(const TensorRow& row, std::int64_t layer, std::int64_t n) {
  const WeightTensor* tensor = take(tensor_stem(row, naming_, layer) + ".bias");
  if (tensor == nullptr) return Tensor{};
  return constant(*tensor, n);
}

Result<std::vector<float>> WeightLoader::floats(const std::string& name, std::int64_t n) {
  const WeightTensor* tensor = take(name);
  if (tensor == nullptr) return std::vector<float>{};
  if (!(tensor->shape == Shape{n})) return wrong_shape(*tensor, Shape{n});
  if (quant_info(tensor->type).decode == nullptr) {
    return unsupported(
        fmt::format("tensor \"{}\": type {} is not a number format", name, quant_info(tensor->type).name));
  }
  std::vector<float> values(static_cast<std::size_t>(n));
  decode_row(tensor->type, tensor->bytes, values);
  return values;
}

std::vector<std::string> WeightLoader::unused() const {
  std::vector<std::string> names;
  for (const WeightTensor& tensor : source_.tensors()) {
    if (!used_.contains(tensor.name)) names.push_back(tensor.name);
  }
  return names;
}

}  // namespace mlxr
