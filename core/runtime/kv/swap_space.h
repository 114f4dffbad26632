#pragma once
// Room in host memory for blocks of sequences that are swapped out: slot ids, the bytes are the engine's. One thread.

#include <cstdint>
#include <vector>

#include "core/base/check.h"

namespace mlxr {

class SwapSpace {
 public:
  explicit SwapSpace(std::int64_t num_slots) : num_slots_(num_slots) {
    for (std::int64_t slot = num_slots - 1; slot >= 0; --slot)
      free_.push_back(static_cast<std::int32_t>(slot));
  }

  std::int64_t num_slots() const { return num_slots_; }
  std::int64_t num_free() const { return static_cast<std::int64_t>(free_.size()); }

  std::int32_t take() {
    MLXR_CHECK(!free_.empty(), "there is a slot to take");
    const std::int32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::int32_t slot) { free_.push_back(slot); }

 private:
  std::int64_t num_slots_;
  std::vector<std::int32_t> free_;
};

}  // namespace mlxr
