#pragma once
// Writes weights as a stream, so that a model may be larger than memory: tensors are declared first, then their bytes
// follow in the same order in pieces of any size, then finish() makes the files appear at once (AtomicFile). A writer
// destroyed before that leaves nothing behind. One thread at a time.
//
//   GgufWriter writer("out.gguf", metadata);
//   for (...) MLXR_RETURN_IF_ERROR(writer.add_tensor(name, type, shape));
//   for (...) MLXR_RETURN_IF_ERROR(writer.write_tensor_data(bytes));
//   MLXR_RETURN_IF_ERROR(writer.finish());

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/atomic_file.h"
#include "core/base/status.h"
#include "core/quant/quant.h"
#include "core/tensor/shape.h"

namespace mlxr {

struct WeightWriterOptions {
  // 0: one file. Otherwise tensor bytes a file: "x.gguf" becomes "x-00001-of-00003.gguf" and so on when one file does
  // not do. A tensor is never cut, so that a file may be larger when one tensor is.
  std::uint64_t max_shard_bytes = 0;
  // Called as tensor bytes are written.
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

class WeightWriter {
 public:
  virtual ~WeightWriter();

  // kInvalidArgument for a name that is taken or that the format cannot hold and for a shape that is not whole blocks;
  // kUnsupported for a type that the format does not have. Not after the first write_tensor_data().
  Status add_tensor(std::string_view name, QuantType type, const Shape& shape);
  // The next bytes of the first tensor that is not complete; never more than it lacks. Errors of AtomicFile.
  Status write_tensor_data(std::span<const std::byte> bytes);
  // After the last byte of the last tensor.
  Status finish();

  // The files that hold tensors, in order; complete after finish().
  std::span<const std::string> paths() const { return paths_; }

 protected:
  struct Entry {
    std::string name;
    QuantType type = QuantType::kF32;
    Shape shape;
    std::size_t num_bytes = 0;
  };
  struct Shard {
    std::size_t number = 0;  // from 0
    std::size_t count = 1;
    std::size_t num_tensors = 0;     // of all shards
    std::span<const Entry> entries;  // of this one
  };

  WeightWriter(std::string path, std::string extension, WeightWriterOptions options);

  virtual Status check_entry(const Entry& entry) const = 0;
  virtual Result<std::string> header(const Shard& shard) const = 0;
  // Zeros after a tensor of `num_bytes`.
  virtual std::size_t padding(std::size_t num_bytes) const = 0;
  // More files that belong to the set; called when all tensors are written.
  virtual Result<std::vector<std::unique_ptr<AtomicFile>>> side_files() const = 0;

  const std::string& path() const { return path_; }
  const std::string& extension() const { return extension_; }
  std::span<const Entry> entries() const { return entries_; }
  std::size_t num_shards() const { return shard_ends_.size(); }
  std::span<const Entry> shard_entries(std::size_t number) const;
  std::uint64_t total_bytes() const { return total_bytes_; }

 private:
  void plan_shards();
  Status start_shard();
  Status end_tensor();
  // Passes over tensors that are complete, opening shards on the way.
  Status advance();

  std::string path_;
  std::string extension_;
  WeightWriterOptions options_;
  std::vector<Entry> entries_;
  std::unordered_set<std::string> names_;
  std::uint64_t total_bytes_ = 0;

  bool started_ = false;
  std::vector<std::size_t> shard_ends_;  // one past the last entry of each shard
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::size_t current_ = 0;  // entry being written
  std::size_t current_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
};

}  // namespace mlxr
