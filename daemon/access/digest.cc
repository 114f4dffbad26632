#include "daemon/access/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <vector>

#include "core/base/check.h"

namespace mlxr::access_detail {
namespace {

using Digest = std::array<unsigned char, 32>;

std::string hex(const unsigned char* bytes, std::size_t count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(count * 2);
  for (std::size_t i = 0; i < count; ++i) {
    out += kDigits[bytes[i] >> 4U];
    out += kDigits[bytes[i] & 15U];
  }
  return out;
}

// A system without random numbers cannot have secrets, so there is no way on.
std::vector<unsigned char> random_bytes(std::size_t count) {
  std::vector<unsigned char> bytes(count);
  MLXR_CHECK(RAND_bytes(bytes.data(), static_cast<int>(count)) == 1, "the system has no random numbers");
  return bytes;
}

}  // namespace

std::string sha256_hex(std::string_view text) {
  Digest digest{};
  unsigned length = 0;
  MLXR_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1,
             "SHA-256 failed");
  return hex(digest.data(), digest.size());
}

std::string hmac_hex(std::string_view key, std::string_view text) {
  Digest digest{};
  unsigned length = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  MLXR_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(), &length) !=
                 nullptr,
             "HMAC failed");
  return hex(digest.data(), digest.size());
}

Secret random_text(std::size_t count) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::vector<unsigned char> bytes = random_bytes(count);
  std::string out;
  out.reserve(count * 4 / 3 + 1);
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const unsigned char byte : bytes) {
    pending = (pending << 8U) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += kLetters[(pending >> bits) & 63U];
    }
    pending &= (1U << bits) - 1U;
  }
  if (bits > 0) out += kLetters[(pending << (6 - bits)) & 63U];
  return Secret(std::move(out));
}

std::string random_hex(std::size_t count) {
  const std::vector<unsigned char> bytes = random_bytes(count);
  return hex(bytes.data(), bytes.size());
}

}  // namespace mlxr::access_detail
