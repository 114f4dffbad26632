#include "core/io/safetensors_writer.h"

#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/byte_reader.h"
#include "core/io/safetensors.h"

namespace mlxr {
namespace {

using nlohmann::json;

constexpr std::size_t kHeaderAlignment = 8;
constexpr std::string_view kMetadataName = "__metadata__";

Result<std::string> dump(const json& document, int indent) {
  try {
    return document.dump(indent);
  } catch (const json::exception&) {
    return invalid_argument("a tensor name or metadata string is not UTF-8");
  }
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::string path, std::map<std::string, std::string> metadata,
                                     WeightWriterOptions options)
    : WeightWriter(std::move(path), ".safetensors", std::move(options)), metadata_(std::move(metadata)) {}

Status SafetensorsWriter::check_entry(const Entry& entry) const {
  if (quant_info(entry.type).safetensors_name == nullptr) {
    return unsupported(fmt::format("type {} does not exist in safetensors", quant_info(entry.type).name));
  }
  if (entry.name.empty() || entry.name == kMetadataName) return invalid_argument("the name is reserved");
  return {};
}

std::size_t SafetensorsWriter::padding(std::size_t /*num_bytes*/) const {
  return 0;
}

Result<std::string> SafetensorsWriter::header(const Shard& shard) const {
  json document = json::object();
  if (!metadata_.empty()) document[std::string(kMetadataName)] = metadata_;
  std::uint64_t offset = 0;
  for (const Entry& entry : shard.entries) {
    json dims = json::array();
    for (std::size_t i = 0; i < entry.shape.rank(); ++i)
      dims.push_back(entry.shape[i]);
    const std::uint64_t end = offset + entry.num_bytes;
    document[entry.name] = {{"dtype", quant_info(entry.type).safetensors_name},
                            {"shape", std::move(dims)},
                            {"data_offsets", {offset, end}}};
    offset = end;
  }
  MLXR_ASSIGN_OR_RETURN(std::string text, dump(document, -1));
  text.append((0 - text.size()) & (kHeaderAlignment - 1), ' ');
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    return resource_exhausted(fmt::format("header of {} bytes is more than the format's limit of {}", text.size(),
                                          kMaxSafetensorsHeaderBytes));
  }
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

Result<std::vector<std::unique_ptr<AtomicFile>>> SafetensorsWriter::side_files() const {
  std::vector<std::unique_ptr<AtomicFile>> files;
  if (num_shards() == 1) return files;
  json weight_map = json::object();
  for (std::size_t number = 0; number < num_shards(); ++number) {
    const std::string file = std::filesystem::path(paths()[number]).filename().string();
    for (const Entry& entry : shard_entries(number))
      weight_map[entry.name] = file;
  }
  const json index = {{"metadata", {{"total_size", total_bytes()}}}, {"weight_map", std::move(weight_map)}};
  MLXR_ASSIGN_OR_RETURN(const std::string text, dump(index, 2));
  const std::string base = path().ends_with(extension()) ? path() : path() + extension();
  MLXR_ASSIGN_OR_RETURN(auto file, AtomicFile::create(base + ".index.json"));
  MLXR_RETURN_IF_ERROR(file->write(text + "\n"));
  files.push_back(std::move(file));
  return files;
}

Status write_safetensors(const std::string& path, std::span<const WeightTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer(path, metadata);
  for (const WeightTensor& tensor : tensors) {
    MLXR_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, tensor.shape));
  }
  for (const WeightTensor& tensor : tensors)
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(tensor.bytes));
  return writer.finish();
}

}  // namespace mlxr
