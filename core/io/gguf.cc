#include "core/io/gguf.h"

#include <optional>
#include <utility>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/io/gguf_format.h"
#include "core/io/gguf_parser.h"
#include "core/io/shard_name.h"

namespace mlxr {
namespace {

constexpr std::string_view kExtension = ".gguf";

Status add_all(TensorTable& table, GgufHeader& header, const std::string& path) {
  for (WeightTensor& tensor : header.tensors) {
    const Status status = table.add(std::move(tensor));
    if (!status.ok()) return status.with_context(path);
  }
  return {};
}

// What a file says of its place in a set; a file without these keys is whole.
Result<std::uint64_t> split_field(const Metadata& metadata, const char* key, std::uint64_t absent) {
  if (!metadata.contains(key)) return absent;
  return metadata.require_uint(key);
}

Status check_shard(const GgufHeader& shard, std::uint64_t number, std::uint64_t num_shards) {
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t count, split_field(shard.metadata, gguf::kSplitCountKey, 0));
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t no, split_field(shard.metadata, gguf::kSplitNoKey, 0));
  if (count != num_shards) {
    return corrupt(fmt::format("{}: {} is {}, but the file belongs to a set of {}", shard.metadata.source(),
                               gguf::kSplitCountKey, count, num_shards));
  }
  if (no + 1 != number) {
    return corrupt(fmt::format("{}: {} is {}, but the file's name makes it {}", shard.metadata.source(),
                               gguf::kSplitNoKey, no, number - 1));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::map(path));
  MLXR_ASSIGN_OR_RETURN(auto opened, parse(file));
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t num_shards, split_field(opened->metadata(), gguf::kSplitCountKey, 0));
  if (num_shards <= 1) return opened;
  return open_split(path, num_shards);
}

Result<std::unique_ptr<GgufFile>> GgufFile::parse(const FileBytes& file) {
  MLXR_ASSIGN_OR_RETURN(GgufHeader header, parse_gguf_header(file));
  std::unique_ptr<GgufFile> opened(new GgufFile);
  opened->paths_ = {file.path};
  opened->version_ = header.version;
  opened->alignment_ = header.alignment;
  opened->data_offset_ = header.data_offset;
  opened->table_.reserve(header.tensors.size());
  MLXR_RETURN_IF_ERROR(add_all(opened->table_, header, file.path));
  opened->metadata_ = std::move(header.metadata);
  return opened;
}

Result<std::unique_ptr<GgufFile>> GgufFile::open_split(const std::string& path, std::uint64_t num_shards) {
  const auto name = parse_shard_name(path, kExtension);
  if (!name || name->count != num_shards) {
    return invalid_argument(fmt::format("{}: one of {} files of a split model, but its name does not end in \"{}\"",
                                        path, num_shards, shard_name({"", 1, num_shards}, kExtension)));
  }
  std::unique_ptr<GgufFile> set(new GgufFile);
  std::optional<std::uint64_t> num_tensors;
  for (std::uint64_t number = 1; number <= num_shards; ++number) {
    const std::string shard_path = shard_name({name->prefix, number, num_shards}, kExtension);
    auto file = FileBytes::map(shard_path);
    if (!file.ok()) {
      return Status(file.status().code(),
                    fmt::format("{} (file {} of a split model of {})", file.status().message(), number, num_shards));
    }
    MLXR_ASSIGN_OR_RETURN(GgufHeader header, parse_gguf_header(*file));
    MLXR_RETURN_IF_ERROR(check_shard(header, number, num_shards));
    MLXR_RETURN_IF_ERROR(add_all(set->table_, header, shard_path));
    set->paths_.push_back(shard_path);
    if (number > 1) continue;
    num_tensors = header.metadata.get_uint(gguf::kSplitTensorsKey);
    set->version_ = header.version;
    set->alignment_ = header.alignment;
    set->data_offset_ = header.data_offset;
    set->metadata_ = std::move(header.metadata);
  }
  if (num_tensors && *num_tensors != set->tensors().size()) {
    return corrupt(fmt::format("{}: {} is {}, but the {} files hold {} tensors", set->path(), gguf::kSplitTensorsKey,
                               *num_tensors, num_shards, set->tensors().size()));
  }
  return set;
}

}  // namespace mlxr
