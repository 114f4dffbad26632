#include "core/io/gguf_writer.h"

#include <bit>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/io/gguf.h"
#include "core/io/gguf_format.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxSplitFiles = std::numeric_limits<std::uint16_t>::max();

template <class T>
void put(std::string& out, T value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  out.append(bytes.data(), bytes.size());
}

void put_type(std::string& out, gguf::ValueType type) {
  put(out, static_cast<std::uint32_t>(type));
}

void put_string(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out += text;
}

void put_array_head(std::string& out, gguf::ValueType type, std::size_t count) {
  put_type(out, gguf::ValueType::kArray);
  put_type(out, type);
  put<std::uint64_t>(out, count);
}

// A value with its type in front, one overload a kind.
template <class T>
void put_value(std::string& out, const T& value) {
  put_type(out, gguf::value_type_of<T>());
  if constexpr (std::is_same_v<T, bool>) {
    put<std::uint8_t>(out, value ? 1 : 0);
  } else {
    put(out, value);
  }
}
void put_value(std::string& out, const std::string& value) {
  put_type(out, gguf::ValueType::kString);
  put_string(out, value);
}
template <class T>
void put_value(std::string& out, const std::vector<T>& values) {
  put_array_head(out, gguf::value_type_of<T>(), values.size());
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}
void put_value(std::string& out, const MetadataBools& bools) {
  put_array_head(out, gguf::ValueType::kBool, bools.values.size());
  for (const std::uint8_t value : bools.values)
    put<std::uint8_t>(out, value != 0 ? 1 : 0);
}
void put_value(std::string& out, const MetadataStrings& strings) {
  put_array_head(out, gguf::ValueType::kString, strings.values.size());
  for (const std::string_view text : strings.values)
    put_string(out, text);
}

Metadata without_split_keys(Metadata metadata) {
  for (const char* key : {gguf::kSplitNoKey, gguf::kSplitCountKey, gguf::kSplitTensorsKey})
    metadata.erase(key);
  return metadata;
}

}  // namespace

GgufWriter::GgufWriter(std::string path, Metadata metadata, WeightWriterOptions options)
    : WeightWriter(std::move(path), ".gguf", std::move(options)),
      metadata_(without_split_keys(std::move(metadata))),
      alignment_(metadata_.get_uint(gguf::kAlignmentKey).value_or(kGgufDefaultAlignment)) {
  // The header reports it; arithmetic needs a power of two until then.
  if (!std::has_single_bit(alignment_) || alignment_ > gguf::kMaxAlignment) alignment_ = kGgufDefaultAlignment;
}

Status GgufWriter::check_entry(const Entry& entry) const {
  if (quant_info(entry.type).gguf_id < 0) {
    return unsupported(fmt::format("type {} does not exist in GGUF", quant_info(entry.type).name));
  }
  if (entry.name.empty() || entry.name.size() > gguf::kMaxWrittenNameBytes) {
    return invalid_argument(fmt::format("a GGUF name has 1 to {} bytes", gguf::kMaxWrittenNameBytes));
  }
  return {};
}

std::size_t GgufWriter::padding(std::size_t num_bytes) const {
  return (0 - num_bytes) & (alignment_ - 1);
}

Result<std::string> GgufWriter::header(const Shard& shard) const {
  const MetadataValue* alignment = metadata_.find(gguf::kAlignmentKey);
  if (alignment != nullptr &&
      (metadata_.get_uint(gguf::kAlignmentKey) != alignment_ || alignment_ < gguf::kMinAlignment)) {
    return invalid_argument(fmt::format("{} is {}, not a power of two of at least {}", gguf::kAlignmentKey,
                                        metadata_text(*alignment), gguf::kMinAlignment));
  }
  Metadata metadata;
  if (shard.number == 0) {
    metadata = metadata_;
  } else if (alignment != nullptr) {
    metadata.set(gguf::kAlignmentKey, *alignment);
  }
  if (shard.count > kMaxSplitFiles) {
    return invalid_argument(fmt::format("{} files are too many, allow larger ones", shard.count));
  }
  if (shard.count > 1) {
    metadata.set(gguf::kSplitNoKey, static_cast<std::uint16_t>(shard.number));
    metadata.set(gguf::kSplitCountKey, static_cast<std::uint16_t>(shard.count));
    metadata.set(gguf::kSplitTensorsKey, static_cast<std::int32_t>(shard.num_tensors));
  }
  std::string out(kGgufMagic);
  put(out, gguf::kWriteVersion);
  put<std::uint64_t>(out, shard.entries.size());
  put<std::uint64_t>(out, metadata.entries().size());
  for (const Metadata::Entry& entry : metadata.entries()) {
    put_string(out, entry.key);
    std::visit([&out](const auto& value) { put_value(out, value); }, entry.value);
  }
  std::uint64_t offset = 0;
  for (const Entry& entry : shard.entries) {
    put_string(out, entry.name);
    put(out, static_cast<std::uint32_t>(entry.shape.rank()));
    for (std::size_t i = entry.shape.rank(); i > 0; --i)
      put(out, static_cast<std::uint64_t>(entry.shape[i - 1]));
    put(out, static_cast<std::uint32_t>(quant_info(entry.type).gguf_id));
    put(out, offset);
    offset += entry.num_bytes + padding(entry.num_bytes);
  }
  out.append(padding(out.size()), '\0');
  return out;
}

Result<std::vector<std::unique_ptr<AtomicFile>>> GgufWriter::side_files() const {
  return std::vector<std::unique_ptr<AtomicFile>>();
}

Status write_gguf(const std::string& path, const Metadata& metadata, std::span<const WeightTensor> tensors) {
  GgufWriter writer(path, metadata);
  for (const WeightTensor& tensor : tensors) {
    MLXR_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, tensor.shape));
  }
  for (const WeightTensor& tensor : tensors)
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(tensor.bytes));
  return writer.finish();
}

}  // namespace mlxr
