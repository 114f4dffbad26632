#pragma once
// The format of a KV block on disk. Little-endian:
//
//   0    8   magic "MLXRKVB1"
//   8    4   version, 1
//   12   4   flags: 1 encrypted
//   16   4   group of layers
//   20   4   number of tokens n
//   24   8   bytes of the payload p
//   32   32  fingerprint: SHA-256 of what gives the payload its meaning
//   64   12  nonce, 0 when not encrypted
//   76   4   0
//   80   32  name of the block (block_hash.h)
//   112  32  name of its parent
//   144  4n  token ids
//        p   payload
//        16  encrypted: tag of AES-256-GCM; otherwise XXH64 of all bytes before, and 8 zero bytes
//
// Encrypted files have everything from offset 80 on encrypted and all before authenticated.
//
// A reader knows what it wants, so that it compares instead of parsing: no number of a file is ever used as a size.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/block_cipher.h"
#include "core/runtime/kv/block_hash.h"

namespace mlxr {

struct BlockKey {
  BlockHash hash;
  std::int32_t group = 0;

  bool operator==(const BlockKey&) const = default;
};

// Everything of a block but its payload.
struct BlockIdentity {
  BlockHash fingerprint;
  BlockKey key;
  BlockHash parent;
  std::span<const std::int32_t> tokens;
};

inline constexpr std::uint32_t kBlockFileVersion = 1;
inline constexpr std::size_t kBlockTrailerBytes = 16;
using BlockTrailer = std::array<std::byte, kBlockTrailerBytes>;

// Bytes before the payload.
std::size_t block_head_bytes(std::size_t num_tokens);
inline std::size_t block_file_bytes(std::size_t num_tokens, std::size_t payload_bytes) {
  return block_head_bytes(num_tokens) + payload_bytes + kBlockTrailerBytes;
}

struct EncodedBlock {
  std::vector<std::byte> head;
  BlockTrailer trailer;
};
// What stands around the payload. With a cipher the payload is encrypted in place; nullptr: not encrypted.
EncodedBlock encode_block(const BlockIdentity& identity, std::span<std::byte> payload, const BlockCipher* cipher);

// Whether a file's three parts hold the block; `head` has block_head_bytes(identity.tokens.size()). Decrypts `head` and
// `payload` in place. kCorrupt naming the first field that differs with its offset, or the checksum; the payload is
// then worthless.
Status decode_block(const BlockIdentity& identity, std::span<std::byte> head, std::span<std::byte> payload,
                    const BlockTrailer& trailer, const BlockCipher* cipher);

}  // namespace mlxr
