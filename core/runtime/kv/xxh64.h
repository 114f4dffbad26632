#pragma once
// XXH64, the 64-bit checksum of xxHash (specification: github.com/Cyan4973/xxHash, doc/xxhash_spec.md, version 0.2),
// with seed 0: notices damage at the speed of memory, and protects against nobody. One thread at a time.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mlxr {

class Xxh64 {
 public:
  Xxh64();
  Xxh64& update(std::span<const std::byte> bytes);
  // Of all bytes so far.
  std::uint64_t digest() const;

 private:
  static constexpr std::size_t kStripe = 32;
  void stripes(const std::byte* bytes, std::size_t count);

  std::array<std::uint64_t, 4> lanes_;
  std::array<std::byte, kStripe> rest_{};  // total_ % 32 bytes that have not met a lane
  std::uint64_t total_ = 0;
};

}  // namespace mlxr
