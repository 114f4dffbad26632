#pragma once
// Names of block contents. The K/V of a token depend on every token before it, on the model and on what else went in
// (adapter, images), so a full block is named by a chain: SHA-256 of the parent's name and its own token ids, starting
// from a scope. Two callers whose scopes differ never share a name, and nobody can make two contents of one name.
// The idea of chained block hashes: vLLM, docs.vllm.ai, "Automatic Prefix Caching".

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace mlxr {

struct BlockHash {
  std::array<std::uint8_t, 32> bytes{};

  bool operator==(const BlockHash&) const = default;
  std::string hex() const;
  // Of 64 lower-case digits; nothing when `text` is anything else.
  static std::optional<BlockHash> from_hex(std::string_view text);
};

// For hashed containers: the bytes are random as they are.
struct BlockHashHash {
  std::size_t operator()(const BlockHash& hash) const {
    std::size_t word;
    std::memcpy(&word, hash.bytes.data(), sizeof word);
    return word;
  }
};

// SHA-256. One thread at a time; reset by finish().
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::span<const std::byte> bytes);
  // The length, then the bytes, so that two lists of fields never run together.
  Sha256& update_field(std::string_view field);
  BlockHash finish();

 private:
  evp_md_ctx_st* state_;
};

// Where chains start. Sequences share blocks only within one scope.
struct PrefixScope {
  BlockHash salt;
};

// What a scope is made of. Empty fields are as good as any other value.
struct PrefixScopeParts {
  std::string_view model;             // fingerprint of the weights and of the way K/V are stored
  std::string_view adapter;           // id of the adapter
  std::span<const BlockHash> images;  // contents of the images, in order
  std::string_view caller_salt;       // callers with different salts cannot probe each other's prompts
};
PrefixScope make_prefix_scope(const PrefixScopeParts& parts);

// The name of the block of `tokens` that follows the block named `parent`.
BlockHash chain_hash(Sha256& sha, const BlockHash& parent, std::span<const std::int32_t> tokens);

}  // namespace mlxr
