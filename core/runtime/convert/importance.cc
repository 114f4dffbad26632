#include "core/runtime/convert/importance.h"

#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/core.h>

#include "core/base/mapped_file.h"
#include "core/io/gguf.h"
#include "core/io/gguf_writer.h"

namespace mlxr {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

// Little-endian fields of the older form, each checked against the end of the file.
class DatReader {
 public:
  explicit DatReader(const MappedFile& file) : file_(file) {}

  Status read(const char* field, void* out, std::size_t size) {
    const auto bytes = file_.bytes();
    if (size > bytes.size() - offset_) {
      return corrupt(fmt::format("{}: {} at offset {} is past the end of the file", file_.path(), field, offset_));
    }
    std::memcpy(out, bytes.data() + offset_, size);
    offset_ += size;
    return {};
  }
  Result<std::int32_t> count(const char* field, std::int32_t max) {
    std::int32_t value = 0;
    MLXR_RETURN_IF_ERROR(read(field, &value, sizeof(value)));
    if (value < 0 || value > max) {
      return corrupt(fmt::format("{}: {} is {} at offset {}", file_.path(), field, value, offset_ - sizeof(value)));
    }
    return value;
  }
  std::size_t left() const { return file_.bytes().size() - offset_; }

 private:
  const MappedFile& file_;
  std::size_t offset_ = 0;
};

Result<Importance> read_dat(const MappedFile& file) {
  DatReader reader(file);
  Importance importance;
  MLXR_ASSIGN_OR_RETURN(const std::int32_t num_entries, reader.count("entry count", 1 << 20));
  for (std::int32_t i = 0; i < num_entries; ++i) {
    MLXR_ASSIGN_OR_RETURN(const std::int32_t name_size, reader.count("name size", 4096));
    std::string name(static_cast<std::size_t>(name_size), '\0');
    MLXR_RETURN_IF_ERROR(reader.read("name", name.data(), name.size()));
    Importance::Entry entry;
    MLXR_ASSIGN_OR_RETURN(const std::int32_t count, reader.count("call count", INT32_MAX));
    MLXR_ASSIGN_OR_RETURN(const std::int32_t columns, reader.count("column count", INT32_MAX));
    if (static_cast<std::size_t>(columns) > reader.left() / sizeof(float)) {
      return corrupt(fmt::format("{}: {} columns of \"{}\" are past the end of the file", file.path(), columns, name));
    }
    std::vector<float> values(static_cast<std::size_t>(columns));
    MLXR_RETURN_IF_ERROR(reader.read("columns", values.data(), values.size() * sizeof(float)));
    entry.count = std::max(count, 1);
    entry.sum_squares.assign(values.begin(), values.end());
    importance.entries[std::move(name)] = std::move(entry);
  }
  return importance;
}

Result<std::vector<float>> floats(const GgufFile& file, const WeightTensor& tensor) {
  if (tensor.type != QuantType::kF32) {
    return corrupt(fmt::format("{}: tensor \"{}\" is not F32", file.path(), tensor.name));
  }
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

Result<Importance> read_gguf(const GgufFile& file) {
  Importance importance;
  for (const WeightTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    const WeightTensor* counts = file.find(name + std::string(kCounts));
    if (counts == nullptr) return corrupt(fmt::format("{}: \"{}\" has no counts", file.path(), tensor.name));
    MLXR_ASSIGN_OR_RETURN(const std::vector<float> sums, floats(file, tensor));
    MLXR_ASSIGN_OR_RETURN(const std::vector<float> count, floats(file, *counts));
    if (count.size() != 1 || !(count[0] >= 0.0F && count[0] < 0x1p62F)) {
      return unsupported(fmt::format("{}: the counts of \"{}\" are not one number", file.path(), name));
    }
    importance.entries[name] = {{sums.begin(), sums.end()}, static_cast<std::int64_t>(count[0])};
  }
  if (importance.entries.empty()) return invalid_argument(file.path() + ": not an importance matrix");
  importance.num_chunks = file.metadata().get_int("imatrix.chunk_count").value_or(0);
  importance.chunk_tokens = file.metadata().get_int("imatrix.chunk_size").value_or(0);
  if (const auto datasets = file.metadata().get_strings("imatrix.datasets")) {
    importance.datasets.assign(datasets->begin(), datasets->end());
  }
  return importance;
}

}  // namespace

std::vector<float> Importance::weights(std::string_view name) const {
  const auto found = entries.find(name);
  if (found == entries.end() || found->second.count <= 0) return {};
  std::vector<float> means;
  means.reserve(found->second.sum_squares.size());
  for (const double sum : found->second.sum_squares) {
    const double mean = sum / static_cast<double>(found->second.count);
    means.push_back(std::isfinite(mean) && mean > 0.0 ? static_cast<float>(mean) : 0.0F);
  }
  return means;
}

Result<Importance> read_importance(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  const bool is_gguf =
      bytes.size() >= kGgufMagic.size() && std::memcmp(bytes.data(), kGgufMagic.data(), kGgufMagic.size()) == 0;
  if (!is_gguf) return read_dat(*file);
  MLXR_ASSIGN_OR_RETURN(const auto gguf, GgufFile::open(path));
  return read_gguf(*gguf);
}

Status write_importance(const Importance& importance, const std::string& path) {
  Metadata metadata;
  metadata.set_string("general.type", "imatrix");
  metadata.set_strings("imatrix.datasets", importance.datasets);
  metadata.set("imatrix.chunk_count", static_cast<std::uint32_t>(importance.num_chunks));
  metadata.set("imatrix.chunk_size", static_cast<std::uint32_t>(importance.chunk_tokens));
  GgufWriter writer(path, std::move(metadata));
  for (const auto& [name, entry] : importance.entries) {
    const auto columns = static_cast<std::int64_t>(entry.sum_squares.size());
    MLXR_RETURN_IF_ERROR(writer.add_tensor(name + std::string(kSums), QuantType::kF32, {1, columns}));
    MLXR_RETURN_IF_ERROR(writer.add_tensor(name + std::string(kCounts), QuantType::kF32, {1, 1}));
  }
  for (const auto& [name, entry] : importance.entries) {
    const std::vector<float> sums(entry.sum_squares.begin(), entry.sum_squares.end());
    const auto count = static_cast<float>(entry.count);
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(std::as_bytes(std::span(sums))));
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(std::as_bytes(std::span(&count, 1))));
  }
  return writer.finish();
}

}  // namespace mlxr
