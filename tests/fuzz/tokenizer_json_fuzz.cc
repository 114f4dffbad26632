// A tokenizer.json, then a zero byte, then a text to encode with it.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "core/base/utf8.h"
#include "core/io/json_file.h"
#include "core/runtime/tokenizer/stream_decoder.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_json.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view text = zero == std::string_view::npos ? std::string_view() : input.substr(zero + 1);
  const auto root = mlxr::parse_json(input.substr(0, zero), "fuzz", {.max_bytes = 1 << 16, .max_depth = 50});
  if (!root.ok()) return 0;
  const nlohmann::json config = {{"bos_token", "a"}, {"eos_token", {{"content", "b"}}}, {"add_bos_token", true}};
  const auto tokenizer = mlxr::tokenizer_from_json(*root, config);
  if (!tokenizer.ok()) return 0;
  mlxr::StreamDecoder stream(**tokenizer);
  for (const bool parse_special : {false, true}) {
    const auto ids = (*tokenizer)->encode(text, {.add_special = parse_special, .parse_special = parse_special});
    for (const mlxr::TokenId id : ids) {
      MLXR_CHECK(id >= 0 && static_cast<std::size_t>(id) < (*tokenizer)->vocab_size(), "an id is of the vocabulary");
      MLXR_CHECK(mlxr::is_valid_utf8(stream.push(id)), "a stream is UTF-8");
    }
    (void)(*tokenizer)->decode(ids);
  }
  mlxr::Metadata metadata;
  (void)mlxr::tokenizer_to_gguf(**tokenizer, 0, metadata);
  (void)mlxr::tokenizer_to_json(**tokenizer);
  return 0;
}
