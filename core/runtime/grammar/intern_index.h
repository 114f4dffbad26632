#pragma once
// Finds things by content that are numbered and kept elsewhere: a hash table of numbers.

#include <cstdint>
#include <vector>

namespace mlxr::grammar {

class InternIndex {
 public:
  InternIndex() : slots_(64) {}

  // The number for which same(number) holds, or -1.
  template <class Same>
  std::int32_t find(std::uint64_t hash, Same same) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
      const Slot& slot = slots_[i];
      if (slot.number < 0) return -1;
      if (slot.hash == hash && same(slot.number)) return slot.number;
    }
  }

  // Requires that find() does not know it.
  void add(std::uint64_t hash, std::int32_t number) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    place({hash, number});
    ++count_;
  }

  std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::int32_t number = -1;
  };

  void place(const Slot& slot) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = slot.hash & mask;
    while (slots_[i].number >= 0)
      i = (i + 1) & mask;
    slots_[i] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.number >= 0) place(slot);
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t count_ = 0;
};

// A good mix of 64 bits (the finaliser of splitmix64).
inline std::uint64_t mix_hash(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace mlxr::grammar
