#include "core/runtime/kv/single_sequence_kv.h"

#include <numeric>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {

SingleSequenceKv::SingleSequenceKv(std::int64_t num_blocks, std::int64_t block_tokens)
    : block_tokens_(block_tokens), ids_(static_cast<std::size_t>(num_blocks)) {
  std::iota(ids_.begin(), ids_.end(), 0);
}

Result<SequenceId> SingleSequenceKv::open() {
  if (open_) return resource_exhausted("this cache holds one sequence, and it is in use");
  open_ = true;
  length_ = 0;
  return SequenceId{0};
}

void SingleSequenceKv::close(SequenceId sequence) {
  MLXR_CHECK(open_ && sequence == 0, "the sequence is open");
  open_ = false;
}

std::int64_t SingleSequenceKv::length(SequenceId sequence) const {
  MLXR_CHECK(open_ && sequence == 0, "the sequence is open");
  return length_;
}

Status SingleSequenceKv::extend(SequenceId sequence, std::int64_t count) {
  MLXR_CHECK(open_ && sequence == 0 && count >= 0, "the sequence is open");
  if (count > max_length() - length_) {
    return resource_exhausted(
        fmt::format("the context of {} tokens is full: {} in use, {} more wanted", max_length(), length_, count));
  }
  length_ += count;
  return {};
}

void SingleSequenceKv::truncate(SequenceId sequence, std::int64_t length) {
  MLXR_CHECK(open_ && sequence == 0 && length >= 0 && length <= length_, "truncate shortens an open sequence");
  length_ = length;
}

std::span<const std::int32_t> SingleSequenceKv::blocks(SequenceId sequence, int /*group*/) const {
  MLXR_CHECK(open_ && sequence == 0, "the sequence is open");
  return std::span(ids_).first(static_cast<std::size_t>((length_ + block_tokens_ - 1) / block_tokens_));
}

}  // namespace mlxr
