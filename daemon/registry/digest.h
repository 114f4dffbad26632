#pragma once
// Digests of content: "sha256:" and 64 lower-case hexadecimal digits, as manifests write them.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

// "sha256:HEX" or "sha256-HEX" in any case to the one spelling; kInvalidArgument `invalid digest format "..."`.
Result<std::string> parse_digest(std::string_view text);

std::string digest_of(std::string_view bytes);
// Of a whole file. `progress` is called now and then with the bytes read so far; returning false ends it with
// kCancelled.
Result<std::string> digest_of_file(const std::string& path,
                                   const std::function<bool(std::uint64_t done_bytes)>& progress = {});

// "sha256:HEX" -> "sha256-HEX", the name of a blob's file.
std::string blob_file_name(std::string_view digest);
// The first twelve digits, as people are shown them.
std::string short_digest(std::string_view digest);

}  // namespace mlxr
