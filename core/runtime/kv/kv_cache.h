#pragma once
// KvCache: which blocks of a KvStorage belong to which sequence. Integers only; the bytes are the backend's. The engine
// thread owns it.

#include <cstdint>
#include <span>

#include "core/base/status.h"

namespace mlxr {

using SequenceId = std::int32_t;

class KvCache {
 public:
  virtual ~KvCache() = default;

  virtual std::int64_t block_tokens() const = 0;
  // Tokens that one sequence can reach at most.
  virtual std::int64_t max_length() const = 0;

  // A new, empty sequence; kResourceExhausted when there is no place for one more.
  virtual Result<SequenceId> open() = 0;
  virtual void close(SequenceId sequence) = 0;

  virtual std::int64_t length(SequenceId sequence) const = 0;
  // Makes room for `count` more tokens at the end, which the next step writes. kResourceExhausted changes nothing.
  virtual Status extend(SequenceId sequence, std::int64_t count) = 0;
  // Forgets all tokens from `length` on.
  virtual void truncate(SequenceId sequence, std::int64_t length) = 0;
  // Layers with equal windows share block tables (KvLayerLayout::group).
  virtual int num_groups() const { return 1; }
  // Block ids in order, enough for length(sequence) tokens. Valid until the sequence changes.
  virtual std::span<const std::int32_t> blocks(SequenceId sequence, int group) const = 0;
  std::span<const std::int32_t> blocks(SequenceId sequence) const { return blocks(sequence, 0); }
};

}  // namespace mlxr
