#pragma once
// Model files of a few hundred bytes: good enough for whoever reads headers only.

#include <string>

#include "tests/support/gguf_bytes.h"

namespace mlxr {

inline std::string tiny_gguf(const std::string& name = "tiny", const std::string& architecture = "llama") {
  constexpr std::uint32_t kU32 = 4;
  constexpr std::uint32_t kString = 8;
  constexpr std::uint32_t kF32 = 0;
  test::GgufBytes bytes;
  bytes.counts(1, 4);
  bytes.key("general.architecture", kString).string(architecture);
  bytes.key("general.name", kString).string(name);
  bytes.key(architecture + ".context_length", kU32).u32(64);
  bytes.key(architecture + ".embedding_length", kU32).u32(32);
  bytes.tensor("token_embd.weight", {32, 2}, kF32, 0).data(32 * 2 * 4);
  return bytes.text();
}

}  // namespace mlxr
