#include "core/runtime/kv/xxh64.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mlxr {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read in place");

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87U;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4FU;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9U;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63U;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5U;

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

}  // namespace

Xxh64::Xxh64() : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

// The four lanes are variables of their own to stay in registers, where the bytes cannot alias them. A vector of them
// would be slower: few processors multiply 64 bits in one.
void Xxh64::stripes(const std::byte* bytes, std::size_t count) {
  auto [a, b, c, d] = lanes_;
  for (; count > 0; --count, bytes += kStripe) {
    a = round(a, load<std::uint64_t>(bytes));
    b = round(b, load<std::uint64_t>(bytes + 8));
    c = round(c, load<std::uint64_t>(bytes + 16));
    d = round(d, load<std::uint64_t>(bytes + 24));
  }
  lanes_ = {a, b, c, d};
}

Xxh64& Xxh64::update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return *this;
  const std::size_t held = total_ % kStripe;
  total_ += bytes.size();
  if (held > 0) {
    const std::size_t count = std::min(kStripe - held, bytes.size());
    std::memcpy(rest_.data() + held, bytes.data(), count);
    bytes = bytes.subspan(count);
    if (held + count < kStripe) return *this;
    stripes(rest_.data(), 1);
  }
  const std::size_t whole = bytes.size() / kStripe;
  stripes(bytes.data(), whole);
  bytes = bytes.subspan(whole * kStripe);
  if (!bytes.empty()) std::memcpy(rest_.data(), bytes.data(), bytes.size());
  return *this;
}

std::uint64_t Xxh64::digest() const {
  std::uint64_t hash = kPrime5;
  if (total_ >= kStripe) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_)
      hash = (hash ^ round(0, lane)) * kPrime1 + kPrime4;
  }
  hash += total_;
  const std::byte* bytes = rest_.data();
  std::size_t left = total_ % kStripe;
  for (; left >= 8; left -= 8, bytes += 8)
    hash = std::rotl(hash ^ round(0, load<std::uint64_t>(bytes)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    hash = std::rotl(hash ^ (load<std::uint32_t>(bytes) * kPrime1), 23) * kPrime2 + kPrime3;
    bytes += 4;
    left -= 4;
  }
  for (; left > 0; --left, ++bytes)
    hash = std::rotl(hash ^ (std::to_integer<std::uint64_t>(*bytes) * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

}  // namespace mlxr
