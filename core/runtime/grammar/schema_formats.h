#pragma once
// The formats of JSON Schema that are enforced, as regular expressions (regex_syntax.h) for the whole string. Dates and
// times follow RFC 3339 without leap seconds, addresses RFC 2673 and RFC 4291, host names RFC 1123 (labels of at most
// 63 characters, the whole length unbounded), e-mail the unquoted form of RFC 5321, URIs RFC 3986.

#include <optional>
#include <string>
#include <string_view>

namespace mlxr::grammar {

// nullopt for formats that are not enforced.
std::optional<std::string> format_expression(std::string_view format);

}  // namespace mlxr::grammar
