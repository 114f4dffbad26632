// What a registry or the hub answers: the first byte says what the rest is. Parsers end, and what they let through
// keeps their promises.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "daemon/registry/folder_view.h"
#include "daemon/registry/transfer/base64.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/hub_files.h"
#include "daemon/registry/transfer/registry_auth.h"
#include "daemon/registry/transfer/url.h"

namespace {

void read_tree(std::string_view text) {
  const auto files = mlxr::parse_hub_tree(text, "fuzz");
  if (!files.ok()) return;
  for (const mlxr::HubFile& file : *files)
    MLXR_CHECK(mlxr::is_safe_file_name(file.path), "an unsafe name came through");
  for (const char* tag : {"latest", "Q4_K_M", "x"}) {
    const auto choice = mlxr::choose_gguf(*files, tag, "a/b");
    MLXR_CHECK(!choice.ok() || !choice->files.empty(), "a choice of no files");
  }
  (void)mlxr::choose_safetensors(*files, {}, "a/b").ok();
}

void read_index(std::string_view text) {
  const std::vector<mlxr::HubFile> files = {
      {.path = "config.json", .size = 2}, {.path = "a.safetensors", .size = 1}, {.path = "b.safetensors", .size = 1}};
  (void)mlxr::choose_safetensors(files, text, "a/b").ok();
}

void read_headers(std::string_view text) {
  const auto challenge = mlxr::parse_bearer_challenge(text);
  MLXR_CHECK(!challenge || !challenge->realm.empty(), "a challenge without a realm");
  mlxr::ContentRange range;
  if (mlxr::parse_content_range(text, &range)) {
    MLXR_CHECK(range.first <= range.last && range.last < range.total, "a range that is none");
  }
  (void)mlxr::retry_after({{"Retry-After", std::string(text)}});
  if (const auto bytes = mlxr::base64_decode(text)) {
    MLXR_CHECK(mlxr::base64_decode(mlxr::base64_encode(*bytes)) == bytes, "base64 does not come back");
  }
}

void read_url(std::string_view text) {
  const std::string location = std::string(text).substr(0, text.find('\0'));
  const auto url = mlxr::resolve_url("https://registry.example/v2/a", location);
  if (!url.ok()) return;
  MLXR_CHECK(url->scheme == "http" || url->scheme == "https", "another scheme came through");
  MLXR_CHECK(!url->host.empty() && !url->port.empty(), "an address without a host");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 't':
      read_tree(rest);
      break;
    case 'i':
      read_index(rest);
      break;
    case 'h':
      read_headers(rest);
      break;
    case 'u':
      read_url(rest);
      break;
    default:
      break;
  }
  return 0;
}
