#include "core/io/open_weights.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/core.h>

#include "core/io/byte_reader.h"
#include "core/io/file_bytes.h"
#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/safetensors.h"

namespace mlxr {
namespace {

template <class T>
Result<std::unique_ptr<WeightSource>> as_source(Result<std::unique_ptr<T>> opened) {
  if (!opened.ok()) return opened.status();
  return std::unique_ptr<WeightSource>(std::move(opened).value());
}

// The opening of a safetensors file: a header length, then the header's brace.
bool looks_like_safetensors(std::string_view head) {
  return head.size() > sizeof(std::uint64_t) && head[sizeof(std::uint64_t)] == '{' && head[7] == '\0';
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

// What a file that holds no weights seems to be, with the way out.
Status explain_unknown(const std::string& path, std::string_view head) {
  const std::string_view text = head.substr(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  if (head.empty()) return corrupt(path + ": the file is empty");
  if (text.starts_with("version https://git-lfs")) {
    return invalid_argument(path + ": a Git LFS pointer, not the file itself: run \"git lfs pull\" in its repository");
  }
  if (starts_with_ignoring_case(text, "<!doctype") || starts_with_ignoring_case(text, "<html")) {
    return invalid_argument(path + ": a web page, not a model: the download went to a page about the file");
  }
  if (head.starts_with("PK\x03\x04") || head.starts_with("\x80\x02") || head.starts_with("\x80\x04")) {
    return unsupported(path + ": a PyTorch pickle or zip archive, convert it to safetensors");
  }
  for (const std::string_view magic : {"lmgg", "fmgg", "tjgg", "algg"}) {
    if (head.starts_with(magic)) return unsupported(path + ": a GGML file from before GGUF, convert the model again");
  }
  return unsupported(fmt::format("{}: neither GGUF nor safetensors (starts with {})", path,
                                 quote_name(head.substr(0, std::min<std::size_t>(head.size(), 8)))));
}

}  // namespace

Result<std::unique_ptr<WeightSource>> open_weights(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return as_source(HfFolder::open(path));
  MLXR_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::map(path));
  constexpr std::size_t kHeadBytes = 64;
  const std::string_view head = as_text(file.bytes.first(std::min(file.bytes.size(), kHeadBytes)));
  if (head.starts_with(kGgufMagic)) return as_source(GgufFile::open(path));
  if (looks_like_safetensors(head)) return as_source(SafetensorsFile::parse(file));
  return explain_unknown(path, head);
}

}  // namespace mlxr
