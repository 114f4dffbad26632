#pragma once
// A generator of random numbers whose sequence is the same on every machine: xoshiro256++ (Blackman and Vigna,
// "Scrambled linear pseudorandom number generators", 2021), its state filled by SplitMix64. The distributions of the
// standard library are not used, because they differ between implementations.

#include <array>
#include <bit>
#include <cstdint>

namespace mlxr {

class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15U;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
      word = mixed ^ (mixed >> 31);
    }
  }

  // A generator at a known point of its sequence; the words must not all be zero.
  static Random from_state(const std::array<std::uint64_t, 4>& state) {
    Random made(0);
    made.state_ = state;
    return made;
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, 1), with 53 random bits.
  double next_unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace mlxr
