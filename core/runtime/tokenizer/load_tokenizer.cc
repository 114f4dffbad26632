#include "core/runtime/tokenizer/load_tokenizer.h"

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/base/mapped_file.h"
#include "core/io/byte_reader.h"
#include "core/io/gguf.h"
#include "core/io/json_file.h"
#include "core/runtime/tokenizer/sentencepiece.h"
#include "core/runtime/tokenizer/tiktoken.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_json.h"

namespace mlxr {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr JsonLimits kTokenizerLimits = {.max_bytes = std::size_t{256} << 20, .max_depth = 200};

// A side file of the tokenizer; null when it does not exist.
Result<json> read_side_file(const std::string& dir, const char* name) {
  const std::string path = (fs::path(dir) / name).string();
  std::error_code error;
  if (!fs::exists(path, error)) return json();
  return read_json_file(path);
}

// "eos_token_id" of generation_config.json: one id or several.
std::vector<TokenId> end_ids(const json& generation_config) {
  std::vector<TokenId> out;
  const json* field = json_find(generation_config, "eos_token_id");
  if (field == nullptr) return out;
  const auto add = [&](const json& value) {
    if (!value.is_number_integer()) return;
    if (const auto id = checked_cast<TokenId>(value.get<std::int64_t>())) out.push_back(*id);
  };
  if (field->is_array()) {
    for (const json& value : *field)
      add(value);
  } else {
    add(*field);
  }
  return out;
}

Result<std::unique_ptr<Tokenizer>> load_json(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const json root, read_json_file(path, kTokenizerLimits));
  const std::string dir = fs::path(path).parent_path().string();
  MLXR_ASSIGN_OR_RETURN(json config, read_side_file(dir, "tokenizer_config.json"));
  if (config.is_null()) {
    MLXR_ASSIGN_OR_RETURN(config, read_side_file(dir, "special_tokens_map.json"));
  }
  MLXR_ASSIGN_OR_RETURN(const json generation, read_side_file(dir, "generation_config.json"));
  return tokenizer_from_json(root, config, {.path = path, .end_of_generation = end_ids(generation)});
}

Result<std::unique_ptr<Tokenizer>> load_gguf(const std::string& path, const LoadTokenizerOptions& options) {
  MLXR_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::open(path));
  return tokenizer_from_gguf(file->metadata(), {.pre = options.pre});
}

Result<std::unique_ptr<Tokenizer>> load_file(const std::string& path, const LoadTokenizerOptions& options) {
  MLXR_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  const std::string_view text = as_text(file->bytes());
  if (text.empty()) return corrupt(path + ": the file is empty");
  if (text.starts_with(kGgufMagic)) return load_gguf(path, options);
  const std::size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start != std::string_view::npos && text[start] == '{') return load_json(path);
  if (looks_like_tiktoken(text)) return tokenizer_from_tiktoken(text, options.pre, path);
  // The first field of a SentencePiece model is a piece: number 1, length-delimited.
  if (text.front() == '\n') return tokenizer_from_sentencepiece(file->bytes(), path);
  return unsupported(path + ": not a tokenizer: neither tokenizer.json, SentencePiece, tiktoken nor GGUF");
}

// The file of a folder to load: tokenizer.json, else a file with a name that tools give, else the only GGUF file.
Result<std::string> tokenizer_file(const std::string& dir) {
  std::error_code error;
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tiktoken.model", "spiece.model", "sentencepiece.bpe.model"}) {
    const fs::path path = fs::path(dir) / name;
    if (fs::exists(path, error)) return path.string();
  }
  std::vector<std::string> tiktoken;
  std::vector<std::string> gguf;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".tiktoken") tiktoken.push_back(it->path().string());
    if (extension == ".gguf") gguf.push_back(it->path().string());
  }
  if (error) return internal(fmt::format("{}: {}", dir, error.message()));
  for (const auto& found : {tiktoken, gguf}) {
    if (found.size() == 1) return found.front();
  }
  return not_found(dir + ": no tokenizer in the folder (tokenizer.json, tokenizer.model, *.tiktoken or one *.gguf)");
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& path, const LoadTokenizerOptions& options) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return load_file(path, options);
  MLXR_ASSIGN_OR_RETURN(const std::string file, tokenizer_file(path));
  return load_file(file, options);
}

}  // namespace mlxr
