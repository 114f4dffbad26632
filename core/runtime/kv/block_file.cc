#include "core/runtime/kv/block_file.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/runtime/kv/xxh64.h"

namespace mlxr {
namespace {

constexpr std::uint32_t kEncrypted = 1;
constexpr std::size_t kOpenBytes = 80;
constexpr std::size_t kTokensOffset = 144;

// The head up to the tokens, laid out as in the file.
struct Head {
  char magic[8];
  std::uint32_t version;
  std::uint32_t flags;
  std::int32_t group;
  std::uint32_t num_tokens;
  std::uint64_t payload_bytes;
  std::uint8_t fingerprint[32];
  std::byte nonce[BlockCipher::kNonceBytes];
  std::uint32_t zero;
  std::uint8_t hash[32];
  std::uint8_t parent[32];
};
static_assert(sizeof(Head) == kTokensOffset && offsetof(Head, hash) == kOpenBytes);

struct Field {
  const char* name;
  std::size_t offset, size;
};
constexpr Field kFields[] = {
    {"magic", offsetof(Head, magic), 8},
    {"version", offsetof(Head, version), 4},
    {"flags", offsetof(Head, flags), 4},
    {"group", offsetof(Head, group), 4},
    {"number of tokens", offsetof(Head, num_tokens), 4},
    {"payload size", offsetof(Head, payload_bytes), 8},
    {"fingerprint", offsetof(Head, fingerprint), 32},
    {"reserved field", offsetof(Head, zero), 4},
    {"name", offsetof(Head, hash), 32},
    {"parent", offsetof(Head, parent), 32},
};

std::vector<std::byte> make_head(const BlockIdentity& identity, std::size_t payload_bytes, bool encrypted) {
  Head head{};
  std::memcpy(head.magic, "MLXRKVB1", sizeof head.magic);
  head.version = kBlockFileVersion;
  head.flags = encrypted ? kEncrypted : 0;
  head.group = identity.key.group;
  head.num_tokens = static_cast<std::uint32_t>(identity.tokens.size());
  head.payload_bytes = payload_bytes;
  std::memcpy(head.fingerprint, identity.fingerprint.bytes.data(), sizeof head.fingerprint);
  std::memcpy(head.hash, identity.key.hash.bytes.data(), sizeof head.hash);
  std::memcpy(head.parent, identity.parent.bytes.data(), sizeof head.parent);
  std::vector<std::byte> bytes(block_head_bytes(identity.tokens.size()));
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!identity.tokens.empty()) {
    std::memcpy(bytes.data() + kTokensOffset, identity.tokens.data(), identity.tokens.size_bytes());
  }
  return bytes;
}

BlockTrailer checksum(std::span<const std::byte> head, std::span<const std::byte> payload) {
  const std::uint64_t digest = Xxh64().update(head).update(payload).digest();
  BlockTrailer trailer{};
  std::memcpy(trailer.data(), &digest, sizeof digest);
  return trailer;
}

Status compare_fields(std::span<const std::byte> head, std::span<const std::byte> expected, std::size_t begin,
                      std::size_t end) {
  for (const Field& field : kFields) {
    if (field.offset < begin || field.offset >= end) continue;
    if (std::memcmp(head.data() + field.offset, expected.data() + field.offset, field.size) != 0) {
      return corrupt(fmt::format("{} at offset {} is not the expected one", field.name, field.offset));
    }
  }
  return {};
}

}  // namespace

std::size_t block_head_bytes(std::size_t num_tokens) {
  return kTokensOffset + num_tokens * sizeof(std::int32_t);
}

EncodedBlock encode_block(const BlockIdentity& identity, std::span<std::byte> payload, const BlockCipher* cipher) {
  EncodedBlock result{make_head(identity, payload.size(), cipher != nullptr), {}};
  if (cipher == nullptr) {
    result.trailer = checksum(result.head, payload);
    return result;
  }
  const std::span<std::byte> head(result.head);
  const auto nonce = BlockCipher::make_nonce();
  std::copy(nonce.begin(), nonce.end(), head.begin() + offsetof(Head, nonce));
  const std::span<std::byte> pieces[] = {head.subspan(kOpenBytes), payload};
  result.trailer = cipher->encrypt(nonce, head.first(kOpenBytes), pieces);
  return result;
}

Status decode_block(const BlockIdentity& identity, std::span<std::byte> head, std::span<std::byte> payload,
                    const BlockTrailer& trailer, const BlockCipher* cipher) {
  const std::vector<std::byte> expected = make_head(identity, payload.size(), cipher != nullptr);
  MLXR_CHECK(head.size() == expected.size(), "the head has the size of its tokens");
  MLXR_RETURN_IF_ERROR(compare_fields(head, expected, 0, kOpenBytes));
  const std::span<std::byte> closed = head.subspan(kOpenBytes);
  if (cipher == nullptr) {
    if (checksum(head, payload) != trailer) return corrupt("the checksum does not fit the content");
  } else {
    const std::span<std::byte> pieces[] = {closed, payload};
    const auto nonce = head.subspan(offsetof(Head, nonce), BlockCipher::kNonceBytes);
    if (!cipher->decrypt(nonce, head.first(kOpenBytes), pieces, trailer)) {
      return corrupt("the content does not decrypt: it was changed, or the key is another");
    }
  }
  MLXR_RETURN_IF_ERROR(compare_fields(head, expected, kOpenBytes, kTokensOffset));
  const std::span<const std::byte> tokens = head.subspan(kTokensOffset);
  if (!std::ranges::equal(tokens, std::span(expected).subspan(kTokensOffset))) {
    return corrupt(fmt::format("the tokens at offset {} are not the expected ones", kTokensOffset));
  }
  return {};
}

}  // namespace mlxr
