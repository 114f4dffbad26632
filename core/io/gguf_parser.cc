#include "core/io/gguf_parser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include <fmt/core.h>

#include "core/base/checked.h"
#include "core/io/byte_reader.h"
#include "core/io/gguf.h"
#include "core/io/gguf_format.h"
#include "core/io/tensor_table.h"

namespace mlxr {
namespace {

using gguf::ValueType;

constexpr std::uint64_t kMaxStringBytes = std::uint64_t{1} << 30;  // ggml's limit

// A tensor's entry in the header; its data is checked when the start of the data is known.
struct TensorEntry {
  std::string name;
  QuantType type = QuantType::kF32;
  Shape shape;
  std::size_t num_bytes = 0;
  std::uint64_t offset = 0;      // from the start of the data
  std::size_t offset_field = 0;  // where the file says so
};

class Parser {
 public:
  explicit Parser(const FileBytes& file) : file_(file), reader_(file.bytes) {}

  Result<GgufHeader> parse() {
    MLXR_RETURN_IF_ERROR(read_version());
    MLXR_ASSIGN_OR_RETURN(const std::uint64_t num_tensors, read_length("tensor count"));
    MLXR_ASSIGN_OR_RETURN(const std::uint64_t num_keys, read_length("metadata count"));
    MLXR_RETURN_IF_ERROR(read_metadata(num_keys));
    MLXR_RETURN_IF_ERROR(read_alignment());
    MLXR_RETURN_IF_ERROR(read_tensor_entries(num_tensors));
    MLXR_RETURN_IF_ERROR(place_tensors());
    return std::move(header_);
  }

 private:
  bool narrow() const { return header_.version == 1; }
  // Counts, lengths and dimensions have 32 bits in version 1.
  std::size_t length_bytes() const { return narrow() ? 4 : 8; }

  Result<std::uint64_t> read_length(std::string_view what) {
    if (!narrow()) return reader_.read<std::uint64_t>(what);
    MLXR_ASSIGN_OR_RETURN(const std::uint32_t value, reader_.read<std::uint32_t>(what));
    return std::uint64_t{value};
  }

  // Refuses a count that the rest of the file cannot hold when an element takes at least `min_bytes`.
  Status check_count(std::uint64_t count, std::size_t min_bytes, std::string_view what, std::size_t offset) const {
    if (count <= reader_.remaining() / min_bytes) return {};
    return corrupt(fmt::format("{} {} at offset {} is more than the file ({} bytes) can hold", what, count, offset,
                               file_.bytes.size()));
  }

  Result<std::string_view> read_string(std::string_view what) {
    const std::size_t offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const std::uint64_t length, read_length(what));
    if (length > kMaxStringBytes) {
      return corrupt(fmt::format("{} at offset {} has a length of {}", what, offset, length));
    }
    MLXR_ASSIGN_OR_RETURN(const auto bytes, reader_.take(length, what));
    return as_text(bytes);
  }

  Status read_version() {
    MLXR_ASSIGN_OR_RETURN(const auto magic, reader_.take(kGgufMagic.size(), "magic"));
    if (as_text(magic) != kGgufMagic)
      return corrupt("not a GGUF file: magic at offset 0 is " + quote_name(as_text(magic)));
    MLXR_ASSIGN_OR_RETURN(header_.version, reader_.read<std::uint32_t>("version"));
    if (header_.version >= 1 && header_.version <= 3) return {};
    if ((header_.version & 0xffffU) == 0 && header_.version != 0) {
      return unsupported("GGUF file of a big-endian machine: convert it to little-endian");
    }
    return unsupported(fmt::format("GGUF version {} at offset 4: versions 1 to 3 are known", header_.version));
  }

  Status read_metadata(std::uint64_t num_keys) {
    header_.metadata = Metadata(file_.path);
    // The shortest entry: an empty key, a type and one byte.
    MLXR_RETURN_IF_ERROR(check_count(num_keys, length_bytes() + 5, "metadata count", counts_offset(1)));
    for (std::uint64_t i = 0; i < num_keys; ++i) {
      const std::size_t offset = reader_.offset();
      auto key = read_string("key");
      if (!key.ok()) return key.status().with_context(fmt::format("metadata entry {} of {}", i + 1, num_keys));
      if (header_.metadata.contains(*key)) {
        return corrupt(fmt::format("metadata key {} at offset {} appears twice", quote_name(*key), offset));
      }
      auto value = read_value();
      if (!value.ok()) return value.status().with_context("metadata key " + quote_name(*key));
      header_.metadata.set(*key, std::move(value).value());
    }
    return {};
  }

  std::size_t counts_offset(std::size_t index) const { return 8 + index * length_bytes(); }

  Result<MetadataValue> read_value() {
    const std::size_t offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const auto type, read_type("value type"));
    if (type == ValueType::kArray) return read_array();
    if (type == ValueType::kString) {
      MLXR_ASSIGN_OR_RETURN(const std::string_view text, read_string("string"));
      return MetadataValue(std::string(text));
    }
    if (type == ValueType::kBool) {
      MLXR_ASSIGN_OR_RETURN(const std::uint8_t value, reader_.read<std::uint8_t>("bool"));
      return MetadataValue(value != 0);
    }
    std::optional<Result<MetadataValue>> value;
    gguf::visit_numeric_type(type, [&]<class T>(std::type_identity<T>) {
      auto number = reader_.read<T>("value");
      value = number.ok() ? Result<MetadataValue>(MetadataValue(*number)) : Result<MetadataValue>(number.status());
    });
    if (!value) return unknown_type(type, offset);
    return std::move(*value);
  }

  Result<MetadataValue> read_array() {
    const std::size_t type_offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const auto type, read_type("array element type"));
    const std::size_t offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const std::uint64_t count, read_length("array length"));
    if (type == ValueType::kArray) {
      return unsupported(fmt::format("an array of arrays at offset {} is not supported", type_offset));
    }
    if (type == ValueType::kString) return read_strings(count, offset);
    if (type == ValueType::kBool) {
      MLXR_RETURN_IF_ERROR(check_count(count, 1, "array length", offset));
      MLXR_ASSIGN_OR_RETURN(const auto bytes, reader_.take(count, "array"));
      MetadataBools bools;
      for (const std::byte byte : bytes)
        bools.values.push_back(byte == std::byte{0} ? 0 : 1);
      return MetadataValue(std::move(bools));
    }
    std::optional<Result<MetadataValue>> value;
    gguf::visit_numeric_type(type, [&]<class T>(std::type_identity<T>) { value = read_numbers<T>(count, offset); });
    if (!value) return unknown_type(type, type_offset);
    return std::move(*value);
  }

  template <class T>
  Result<MetadataValue> read_numbers(std::uint64_t count, std::size_t offset) {
    MLXR_RETURN_IF_ERROR(check_count(count, sizeof(T), "array length", offset));
    MLXR_ASSIGN_OR_RETURN(const auto bytes, reader_.take(count * sizeof(T), "array"));
    std::vector<T> numbers(static_cast<std::size_t>(count));
    if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return MetadataValue(std::move(numbers));
  }

  Result<MetadataValue> read_strings(std::uint64_t count, std::size_t offset) {
    MLXR_RETURN_IF_ERROR(check_count(count, length_bytes(), "array length", offset));
    std::vector<std::string_view> strings;
    strings.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      auto text = read_string("string");
      if (!text.ok()) return text.status().with_context(fmt::format("array element {}", i));
      strings.push_back(*text);
    }
    return MetadataValue(MetadataStrings(std::move(strings), file_.keepalive));
  }

  Result<ValueType> read_type(std::string_view what) {
    MLXR_ASSIGN_OR_RETURN(const std::uint32_t id, reader_.read<std::uint32_t>(what));
    return static_cast<ValueType>(id);
  }

  static Status unknown_type(ValueType type, std::size_t offset) {
    return corrupt(fmt::format("value type {} at offset {} is unknown", static_cast<std::uint32_t>(type), offset));
  }

  Status read_alignment() {
    header_.alignment = kGgufDefaultAlignment;
    const MetadataValue* value = header_.metadata.find(gguf::kAlignmentKey);
    if (value == nullptr) return {};
    const auto alignment = header_.metadata.get_uint(gguf::kAlignmentKey);
    if (!alignment || !std::has_single_bit(*alignment) || *alignment < gguf::kMinAlignment ||
        *alignment > gguf::kMaxAlignment) {
      return corrupt(fmt::format("{} is {}, not a power of two of at least {}", gguf::kAlignmentKey,
                                 metadata_text(*value), gguf::kMinAlignment));
    }
    header_.alignment = static_cast<std::uint32_t>(*alignment);
    return {};
  }

  Status read_tensor_entries(std::uint64_t num_tensors) {
    // The shortest entry: an empty name, no dimensions, type and offset.
    MLXR_RETURN_IF_ERROR(check_count(num_tensors, length_bytes() + 16, "tensor count", counts_offset(0)));
    entries_.reserve(static_cast<std::size_t>(num_tensors));
    for (std::uint64_t i = 0; i < num_tensors; ++i) {
      auto name = read_string("tensor name");
      if (!name.ok()) return name.status().with_context(fmt::format("tensor {} of {}", i + 1, num_tensors));
      TensorEntry entry;
      entry.name = *name;
      const Status status = read_tensor_entry(entry);
      if (!status.ok()) return status.with_context("tensor " + quote_name(entry.name));
      entries_.push_back(std::move(entry));
    }
    return {};
  }

  Status read_tensor_entry(TensorEntry& entry) {
    const std::size_t dims_offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const std::uint32_t num_dims, reader_.read<std::uint32_t>("dimension count"));
    if (num_dims > gguf::kMaxDims) {
      return corrupt(
          fmt::format("dimension count {} at offset {} is more than {}", num_dims, dims_offset, gguf::kMaxDims));
    }
    std::array<std::int64_t, gguf::kMaxDims> dims{};  // outermost first; the file has the innermost first
    for (std::uint32_t i = 0; i < num_dims; ++i) {
      const std::size_t offset = reader_.offset();
      MLXR_ASSIGN_OR_RETURN(const std::uint64_t dim, read_length("dimension"));
      const auto value = checked_cast<std::int64_t>(dim);
      if (!value) return corrupt(fmt::format("dimension {} at offset {} is out of range", dim, offset));
      dims[num_dims - 1 - i] = *value;
    }
    const std::size_t type_offset = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(const std::uint32_t type_id, reader_.read<std::uint32_t>("type"));
    entry.offset_field = reader_.offset();
    MLXR_ASSIGN_OR_RETURN(entry.offset, reader_.read<std::uint64_t>("data offset"));
    const auto type = quant_type_from_gguf_id(type_id);
    if (!type.ok()) {
      return Status(type.status().code(),
                    fmt::format("{} (type field at offset {})", type.status().message(), type_offset));
    }
    entry.type = *type;
    const std::span<const std::int64_t> shape(dims.data(), num_dims);
    const auto num_bytes = weight_bytes(entry.type, shape);
    if (!num_bytes) {
      return corrupt(fmt::format("shape {} at offset {} does not fit type {} (blocks of {} elements)", dims_text(shape),
                                 dims_offset, quant_info(entry.type).name, quant_info(entry.type).block_elements));
    }
    entry.shape = Shape(shape);
    entry.num_bytes = *num_bytes;
    return {};
  }

  static std::string dims_text(std::span<const std::int64_t> dims) { return Shape(dims).to_string(); }

  Status place_tensors() {
    const std::size_t mask = header_.alignment - 1;
    const std::size_t data_offset = (reader_.offset() + mask) & ~mask;
    // A file without tensors may end without the padding.
    header_.data_offset = entries_.empty() ? std::min(data_offset, file_.bytes.size()) : data_offset;
    header_.tensors.reserve(entries_.size());
    for (TensorEntry& entry : entries_) {
      const Status status = place_tensor(entry);
      if (!status.ok()) return status.with_context("tensor " + quote_name(entry.name));
    }
    return check_overlaps();
  }

  Status place_tensor(TensorEntry& entry) {
    if (entry.offset % header_.alignment != 0) {
      return corrupt(fmt::format("data offset {} at offset {} is not a multiple of the alignment {}", entry.offset,
                                 entry.offset_field, header_.alignment));
    }
    const auto start = checked_add<std::uint64_t>(header_.data_offset, entry.offset);
    const auto end = start ? checked_add<std::uint64_t>(*start, entry.num_bytes) : std::nullopt;
    if (!end)
      return corrupt(fmt::format("data offset {} at offset {} is out of range", entry.offset, entry.offset_field));
    if (*end > file_.bytes.size()) {
      return corrupt(fmt::format("data ends at {}, past the end of the file ({})", *end, file_.bytes.size()));
    }
    const auto bytes = file_.bytes.subspan(static_cast<std::size_t>(*start), entry.num_bytes);
    header_.tensors.push_back({std::move(entry.name), entry.type, entry.shape, bytes, file_.keepalive});
    return {};
  }

  Status check_overlaps() const {
    std::vector<const WeightTensor*> order;
    for (const WeightTensor& tensor : header_.tensors) {
      if (!tensor.bytes.empty()) order.push_back(&tensor);
    }
    const auto starts_before = [](const WeightTensor* a, const WeightTensor* b) {
      return a->bytes.data() < b->bytes.data();
    };
    if (!std::is_sorted(order.begin(), order.end(), starts_before)) {
      std::stable_sort(order.begin(), order.end(), starts_before);
    }
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->bytes.data() + order[i - 1]->bytes.size() <= order[i]->bytes.data()) continue;
      return corrupt(fmt::format("tensors {} and {} overlap at offset {}", quote_name(order[i - 1]->name),
                                 quote_name(order[i]->name), order[i]->bytes.data() - file_.bytes.data()));
    }
    return {};
  }

  const FileBytes& file_;
  ByteReader reader_;
  GgufHeader header_;
  std::vector<TensorEntry> entries_;
};

}  // namespace

Result<GgufHeader> parse_gguf_header(const FileBytes& file) {
  auto header = Parser(file).parse();
  if (!header.ok()) return header.status().with_context(file.path);
  return header;
}

}  // namespace mlxr
