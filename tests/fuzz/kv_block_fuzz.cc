// Files of KV blocks of any bytes: an error of one line, or exactly the block that was asked for. The first byte says
// what is asked for: bit 0 encrypted, bits 1 to 3 the number of tokens, the rest the size of the payload.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/runtime/kv/block_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const mlxr::BlockCipher key(mlxr::BlockCipher::Key{7});
  const mlxr::BlockCipher* cipher = (data[0] & 1) != 0 ? &key : nullptr;
  const std::vector<std::int32_t> tokens(data[0] >> 1 & 7, 5);
  const std::size_t payload_bytes = data[0] >> 4;
  mlxr::BlockIdentity identity;
  identity.fingerprint.bytes.fill(1);
  identity.key.hash.bytes.fill(2);
  identity.parent.bytes.fill(3);
  identity.tokens = tokens;

  std::vector<std::byte> file(mlxr::block_file_bytes(tokens.size(), payload_bytes));
  const std::size_t count = std::min(file.size(), size - 1);
  std::transform(data + 1, data + 1 + count, file.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  const std::span<std::byte> head = std::span(file).first(mlxr::block_head_bytes(tokens.size()));
  const std::span<std::byte> payload = std::span(file).subspan(head.size(), payload_bytes);
  mlxr::BlockTrailer trailer;
  std::copy(file.end() - static_cast<std::ptrdiff_t>(trailer.size()), file.end(), trailer.begin());

  const mlxr::Status status = mlxr::decode_block(identity, head, payload, trailer, cipher);
  if (!status.ok()) {
    if (status.code() != mlxr::StatusCode::kCorrupt || status.message().find('\n') != std::string::npos) std::abort();
    return 0;
  }
  if (cipher != nullptr) return 0;
  // Nothing but the nonce, which plain files do not use, may be chosen.
  const mlxr::EncodedBlock expected = mlxr::encode_block(identity, payload, nullptr);
  std::fill_n(head.begin() + 64, 12, std::byte{0});
  if (!std::ranges::equal(head, expected.head)) std::abort();
  return 0;
}
