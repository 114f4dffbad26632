#pragma once
// The request target of HTTP/1.1 (RFC 9112 section 3.2) taken apart and decoded (RFC 3986 section 2.1).
//
// Refused: what is not printable ASCII, a broken percent escape, a path that decodes to NUL, to another control
// character, to something that is not UTF-8 or to a "." or ".." part, and a query that decodes to NUL or not to UTF-8.
// A slash written as %2F does not part the path: split_path keeps it inside its part.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace mlxr::http {

struct Target {
  std::string raw_path;                                    // "/a%2Fb/c": "*" for OPTIONS *
  std::string path;                                        // "/a/b/c"
  std::vector<std::pair<std::string, std::string>> query;  // decoded, + is a space
  std::string authority;                                   // of the absolute form; empty otherwise
};

Result<Target> parse_target(std::string_view target);

// The decoded parts between the slashes of a path that begins with one; nullopt when parse_target would refuse it.
std::optional<std::vector<std::string>> split_path(std::string_view raw_path);

// nullopt: a broken escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace mlxr::http
