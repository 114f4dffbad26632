// A SentencePiece model, a tiktoken file or a GGUF file, told apart as the loader does, and a text to encode with it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/check.h"
#include "core/io/byte_reader.h"
#include "core/io/gguf.h"
#include "core/runtime/tokenizer/sentencepiece.h"
#include "core/runtime/tokenizer/tiktoken.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"

namespace {

mlxr::Result<std::unique_ptr<mlxr::Tokenizer>> load(std::string_view input) {
  if (input.starts_with(mlxr::kGgufMagic)) {
    MLXR_ASSIGN_OR_RETURN(
        const auto file, mlxr::GgufFile::parse({.path = "fuzz", .bytes = mlxr::as_bytes(input), .keepalive = nullptr}));
    return mlxr::tokenizer_from_gguf(file->metadata());
  }
  if (mlxr::looks_like_tiktoken(input)) return mlxr::tokenizer_from_tiktoken(input, "falcon", "fuzz");
  return mlxr::tokenizer_from_sentencepiece(mlxr::as_bytes(input), "fuzz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = load(input);
  if (!tokenizer.ok()) return 0;
  for (const std::string_view text :
       {input.substr(0, 256), input.substr(size - size / 4), std::string_view("a <sep> hello  b\n12 ")}) {
    for (const mlxr::TokenId id : (*tokenizer)->encode(text, {.add_special = true})) {
      MLXR_CHECK(id >= 0 && static_cast<std::size_t>(id) < (*tokenizer)->vocab_size(), "an id is of the vocabulary");
    }
  }
  mlxr::Metadata metadata;
  (void)mlxr::tokenizer_to_gguf(**tokenizer, 0, metadata);
  (void)mlxr::tokenizer_to_json(**tokenizer);
  return 0;
}
