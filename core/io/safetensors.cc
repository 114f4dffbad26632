#include "core/io/safetensors.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/io/safetensors_header.h"

namespace mlxr {
namespace {

std::string dims_text(std::span<const std::int64_t> dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i)
    text += (i > 0 ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

// The checked tensor of an entry whose data must start at `expected_begin`.
Result<WeightTensor> place_entry(const SafetensorsEntry& entry, std::uint64_t expected_begin,
                                 std::span<const std::byte> data, std::size_t data_offset) {
  const auto type = quant_type_from_safetensors(entry.dtype);
  if (!type) return unsupported("dtype " + quote_name(entry.dtype) + " is unknown");
  const std::uint64_t begin = entry.data_offsets[0];
  const std::uint64_t end = entry.data_offsets[1];
  if (begin > end) return corrupt(fmt::format("data_offsets [{}, {}] run backwards", begin, end));
  if (end > data.size()) {
    return corrupt(fmt::format("data ends {} bytes after offset {}, past the end of the file ({})", end, data_offset,
                               data_offset + data.size()));
  }
  if (begin != expected_begin) {
    return corrupt(fmt::format("data_offsets [{}, {}] {} the tensor before, which ends at {}", begin, end,
                               begin < expected_begin ? "overlap" : "leave a gap after", expected_begin));
  }
  const auto num_bytes = weight_bytes(*type, entry.shape);
  if (!num_bytes) {
    return corrupt(fmt::format("shape {} is too large for dtype {}", dims_text(entry.shape), entry.dtype));
  }
  if (*num_bytes != end - begin) {
    return corrupt(fmt::format("data_offsets [{}, {}] hold {} bytes, but shape {} of {} takes {}", begin, end,
                               end - begin, dims_text(entry.shape), entry.dtype, *num_bytes));
  }
  return WeightTensor{entry.name, *type, merged_shape(entry.shape),
                      data.subspan(static_cast<std::size_t>(begin), *num_bytes), nullptr};
}

Result<std::string_view> header_text(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t length, reader.read<std::uint64_t>("header length"));
  if (length > kMaxSafetensorsHeaderBytes) {
    return corrupt(fmt::format("header length {} at offset 0 is more than the format's limit of {}", length,
                               kMaxSafetensorsHeaderBytes));
  }
  MLXR_ASSIGN_OR_RETURN(const auto text, reader.take(length, "header"));
  return as_text(text);
}

Status fill_table(TensorTable& table, const SafetensorsHeader& header, const FileBytes& file, std::size_t data_offset) {
  const auto data = file.bytes.subspan(data_offset);
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& entry : header.entries)
    order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
    return a->data_offsets < b->data_offsets;
  });
  table.reserve(order.size());
  std::uint64_t end = 0;
  for (const SafetensorsEntry* entry : order) {
    auto tensor = place_entry(*entry, end, data, data_offset);
    if (!tensor.ok()) return tensor.status().with_context("tensor " + quote_name(entry->name));
    tensor->keepalive = file.keepalive;
    end = entry->data_offsets[1];
    MLXR_RETURN_IF_ERROR(table.add(std::move(tensor).value()));
  }
  if (end != data.size()) {
    return corrupt(fmt::format("tensors end at {}, but the file has {} bytes", data_offset + end, file.bytes.size()));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::map(path));
  return parse(file);
}

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::parse(const FileBytes& file) {
  const auto text = header_text(file.bytes);
  if (!text.ok()) return text.status().with_context(file.path);
  auto header = parse_safetensors_header(*text, sizeof(std::uint64_t));
  if (!header.ok()) return header.status().with_context(file.path);

  std::unique_ptr<SafetensorsFile> opened(new SafetensorsFile);
  opened->path_ = file.path;
  opened->metadata_ = std::move(header->metadata);
  opened->data_offset_ = sizeof(std::uint64_t) + text->size();
  const Status status = fill_table(opened->table_, *header, file, opened->data_offset_);
  if (!status.ok()) return status.with_context(file.path);
  return opened;
}

}  // namespace mlxr
