#include "core/runtime/kv/block_hash.h"

#include <openssl/evp.h>

#include "core/base/check.h"

namespace mlxr {

std::string BlockHash::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<BlockHash> BlockHash::from_hex(std::string_view text) {
  BlockHash hash;
  if (text.size() != 2 * hash.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return std::nullopt;
    std::uint8_t& byte = hash.bytes[i / 2];
    byte = static_cast<std::uint8_t>(byte * 16 + (digit ? c - '0' : c - 'a' + 10));
  }
  return hash;
}

Sha256::Sha256() : state_(EVP_MD_CTX_new()) {
  MLXR_CHECK(state_ != nullptr && EVP_DigestInit_ex(state_, EVP_sha256(), nullptr) == 1, "libcrypto has SHA-256");
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(state_);
}

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  MLXR_CHECK(EVP_DigestUpdate(state_, bytes.data(), bytes.size()) == 1, "SHA-256 takes bytes");
  return *this;
}

Sha256& Sha256::update_field(std::string_view field) {
  const std::uint64_t size = field.size();
  update(std::as_bytes(std::span(&size, 1)));
  return update(std::as_bytes(std::span(field)));
}

BlockHash Sha256::finish() {
  BlockHash hash;
  MLXR_CHECK(EVP_DigestFinal_ex(state_, hash.bytes.data(), nullptr) == 1, "SHA-256 ends");
  // Without a type the digest of before is started again, which spares a look-up.
  MLXR_CHECK(EVP_DigestInit_ex(state_, nullptr, nullptr) == 1, "SHA-256 starts again");
  return hash;
}

PrefixScope make_prefix_scope(const PrefixScopeParts& parts) {
  Sha256 sha;
  sha.update_field("mlxr prefix scope 1").update_field(parts.model).update_field(parts.adapter);
  sha.update_field(parts.caller_salt).update(std::as_bytes(parts.images));
  return {sha.finish()};
}

BlockHash chain_hash(Sha256& sha, const BlockHash& parent, std::span<const std::int32_t> tokens) {
  return sha.update(std::as_bytes(std::span(parent.bytes))).update(std::as_bytes(tokens)).finish();
}

}  // namespace mlxr
