#pragma once
// The plain KvCache: one sequence at a time, whose block ids are 0, 1, 2, ...

#include <vector>

#include "core/runtime/kv/kv_cache.h"

namespace mlxr {

class SingleSequenceKv : public KvCache {
 public:
  SingleSequenceKv(std::int64_t num_blocks, std::int64_t block_tokens);

  std::int64_t block_tokens() const override { return block_tokens_; }
  std::int64_t max_length() const override { return static_cast<std::int64_t>(ids_.size()) * block_tokens_; }
  Result<SequenceId> open() override;
  void close(SequenceId sequence) override;
  std::int64_t length(SequenceId sequence) const override;
  Status extend(SequenceId sequence, std::int64_t count) override;
  void truncate(SequenceId sequence, std::int64_t length) override;
  std::span<const std::int32_t> blocks(SequenceId sequence, int group) const override;
  using KvCache::blocks;

 private:
  std::int64_t block_tokens_;
  std::vector<std::int32_t> ids_;
  std::int64_t length_ = 0;
  bool open_ = false;
};

}  // namespace mlxr
