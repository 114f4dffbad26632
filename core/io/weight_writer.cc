#include "core/io/weight_writer.h"

#include <utility>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/io/byte_reader.h"
#include "core/io/shard_name.h"
#include "core/io/tensor_table.h"

namespace mlxr {

WeightWriter::WeightWriter(std::string path, std::string extension, WeightWriterOptions options)
    : path_(std::move(path)), extension_(std::move(extension)), options_(std::move(options)) {}

WeightWriter::~WeightWriter() = default;

Status WeightWriter::add_tensor(std::string_view name, QuantType type, const Shape& shape) {
  MLXR_CHECK(!started_, "tensors are declared before data is written");
  std::vector<std::int64_t> dims;
  for (std::size_t i = 0; i < shape.rank(); ++i)
    dims.push_back(shape[i]);
  const auto num_bytes = weight_bytes(type, dims);
  if (!num_bytes) {
    return invalid_argument(fmt::format("{}: tensor {}: shape {} does not fit type {} (blocks of {} elements)", path_,
                                        quote_name(name), shape.to_string(), quant_info(type).name,
                                        quant_info(type).block_elements));
  }
  Entry entry{std::string(name), type, shape, *num_bytes};
  const Status status = check_entry(entry);
  if (!status.ok()) return status.with_context(fmt::format("{}: tensor {}", path_, quote_name(name)));
  if (!names_.insert(entry.name).second) {
    return invalid_argument(fmt::format("{}: tensor {} appears twice", path_, quote_name(name)));
  }
  total_bytes_ += entry.num_bytes;
  entries_.push_back(std::move(entry));
  return {};
}

Status WeightWriter::write_tensor_data(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  MLXR_RETURN_IF_ERROR(advance());
  MLXR_CHECK(current_ < entries_.size(), "every tensor is complete");
  MLXR_CHECK(bytes.size() <= entries_[current_].num_bytes - current_bytes_, "more bytes than the tensor lacks");
  MLXR_RETURN_IF_ERROR(files_.back()->write(bytes));
  current_bytes_ += bytes.size();
  done_bytes_ += bytes.size();
  if (options_.progress) options_.progress(done_bytes_, total_bytes_);
  return {};
}

Status WeightWriter::finish() {
  MLXR_RETURN_IF_ERROR(advance());
  MLXR_CHECK(current_ == entries_.size(), "a tensor is not complete");
  MLXR_ASSIGN_OR_RETURN(auto side, side_files());
  for (auto& file : side)
    files_.push_back(std::move(file));
  for (const auto& file : files_)
    MLXR_RETURN_IF_ERROR(file->sync());
  for (const auto& file : files_)
    MLXR_RETURN_IF_ERROR(file->commit());
  files_.clear();
  return {};
}

std::span<const WeightWriter::Entry> WeightWriter::shard_entries(std::size_t number) const {
  const std::size_t begin = number == 0 ? 0 : shard_ends_[number - 1];
  return entries().subspan(begin, shard_ends_[number] - begin);
}

void WeightWriter::plan_shards() {
  std::uint64_t shard_bytes = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::uint64_t size = entries_[i].num_bytes + padding(entries_[i].num_bytes);
    if (options_.max_shard_bytes > 0 && shard_bytes > 0 && shard_bytes + size > options_.max_shard_bytes) {
      shard_ends_.push_back(i);
      shard_bytes = 0;
    }
    shard_bytes += size;
  }
  shard_ends_.push_back(entries_.size());
}

Status WeightWriter::start_shard() {
  const std::size_t number = paths_.size();
  if (num_shards() == 1) {
    paths_.push_back(path_);
  } else {
    const std::string prefix = path_.ends_with(extension_) ? path_.substr(0, path_.size() - extension_.size()) : path_;
    paths_.push_back(shard_name({prefix, number + 1, num_shards()}, extension_));
  }
  auto text = header({number, num_shards(), entries_.size(), shard_entries(number)});
  if (!text.ok()) return text.status().with_context(path_);
  MLXR_ASSIGN_OR_RETURN(auto file, AtomicFile::create(paths_.back()));
  files_.push_back(std::move(file));
  return files_.back()->write(*text);
}

Status WeightWriter::end_tensor() {
  const std::vector<std::byte> zeros(padding(entries_[current_].num_bytes));
  ++current_;
  current_bytes_ = 0;
  return files_.back()->write(zeros);
}

Status WeightWriter::advance() {
  if (!started_) {
    started_ = true;
    plan_shards();
    if (num_shards() > kMaxShards) {
      return invalid_argument(fmt::format("{}: {} files are too many, allow larger ones", path_, num_shards()));
    }
    MLXR_RETURN_IF_ERROR(start_shard());
  }
  while (current_ < entries_.size() && current_bytes_ == entries_[current_].num_bytes) {
    MLXR_RETURN_IF_ERROR(end_tensor());
    if (current_ == shard_ends_[paths_.size() - 1] && current_ < entries_.size()) MLXR_RETURN_IF_ERROR(start_shard());
  }
  return {};
}

}  // namespace mlxr
