#pragma once
// Random numbers by position: number i of a request depends on the request's seed and on i alone, so that the same
// request gives the same tokens whatever ran beside it, however often a token was proposed and taken back, and on every
// machine. Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): the seed is the key, the
// position the counter. The distributions of the standard library are not used, because they differ between
// implementations.

#include <array>
#include <cstdint>

namespace mlxr {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

inline PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53U;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57U;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9U;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85U;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

// What a number is for: different purposes at the same position get independent numbers.
enum class RandomUse : std::uint32_t { kToken = 0, kXtc = 1, kChoiceSeed = 2 };

inline std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index, RandomUse use) {
  const PhiloxCounter made = philox(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), static_cast<std::uint32_t>(use), 0},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return (static_cast<std::uint64_t>(made[1]) << 32) | made[0];
}

// Uniform in [0, 1), with 53 random bits.
inline double random_unit(std::uint64_t seed, std::uint64_t index, RandomUse use) {
  return static_cast<double>(random_bits(seed, index, use) >> 11) * 0x1p-53;
}

// The seed of the index-th of several answers to one request; the first keeps the request's own.
inline std::uint64_t choice_seed(std::uint64_t seed, std::uint64_t index) {
  return index == 0 ? seed : random_bits(seed, index, RandomUse::kChoiceSeed);
}

}  // namespace mlxr
