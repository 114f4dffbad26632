#pragma once
// AES-256-GCM with a key from a file. Thread-safe: immutable.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/status.h"
#include "core/runtime/kv/block_hash.h"

namespace mlxr {

class BlockCipher {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kTagBytes = 16;
  using Key = std::array<std::uint8_t, kKeyBytes>;
  using Pieces = std::span<const std::span<std::byte>>;  // one message in pieces, worked on in place

  explicit BlockCipher(const Key& key);
  // The key is the file's 32 bytes. A file that does not exist is made, of random bytes and for its owner only.
  // kInvalidArgument: others may read it, or it has another size; kInternal: the system failed. All name `path`.
  static Result<BlockCipher> from_file(const std::string& path);

  // A key for names, from which the key for contents cannot be found.
  const BlockHash& name_key() const { return name_key_; }

  // Random, for one message.
  static std::array<std::byte, kNonceBytes> make_nonce();
  // `open` part is authenticated and stays readable.
  std::array<std::byte, kTagBytes> encrypt(std::span<const std::byte> nonce, std::span<const std::byte> open,
                                           Pieces pieces) const;
  // False when anything was changed or the key is another; the pieces are then worthless.
  bool decrypt(std::span<const std::byte> nonce, std::span<const std::byte> open, Pieces pieces,
               std::span<const std::byte> tag) const;

 private:
  Key key_;
  BlockHash name_key_;
};

}  // namespace mlxr
