#include "daemon/http/target.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/base/utf8.h"

namespace mlxr::http {
namespace {

constexpr std::size_t kMaxQueryPairs = 256;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

bool starts_with_scheme(std::string_view target, std::string_view scheme) {
  return target.size() >= scheme.size() &&
         std::ranges::equal(scheme, target.substr(0, scheme.size()), {}, {},
                            [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;
    if (pairs.size() == kMaxQueryPairs) {
      return invalid_argument(fmt::format("the query has more than {} values", kMaxQueryPairs));
    }
    const std::size_t equals = std::min(item.find('='), item.size());
    auto name = percent_decode(item.substr(0, equals), true);
    auto value = percent_decode(item.substr(std::min(equals + 1, item.size())), true);
    if (!name || !value) return invalid_argument("the query has a broken percent escape");
    for (const std::string* decoded : {&*name, &*value}) {
      if (decoded->find('\0') != std::string::npos) return invalid_argument("the query has a zero byte");
      if (!is_valid_utf8(*decoded)) return invalid_argument("the query is not UTF-8");
    }
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::optional<std::vector<std::string>> split_path(std::string_view raw_path) {
  if (!raw_path.starts_with('/')) return std::nullopt;
  std::vector<std::string> parts;
  for (std::size_t start = 1; start <= raw_path.size();) {
    const std::size_t end = std::min(raw_path.find('/', start), raw_path.size());
    auto part = percent_decode(raw_path.substr(start, end - start), false);
    if (!part || *part == "." || *part == ".." || std::ranges::any_of(*part, is_control) || !is_valid_utf8(*part)) {
      return std::nullopt;
    }
    parts.push_back(std::move(*part));
    start = end + 1;
  }
  return parts;
}

Result<Target> parse_target(std::string_view target) {
  for (const char c : target) {
    if (c <= 0x20 || c >= 0x7F || c == '#' || c == '\\') {
      return invalid_argument("the request target has a character that must be percent-encoded");
    }
  }
  Target parsed;
  if (target == "*") {
    parsed.raw_path = parsed.path = "*";
    return parsed;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_scheme(target, scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    parsed.authority = target.substr(0, end);
    if (parsed.authority.empty() || parsed.authority.find('@') != std::string::npos) {
      return invalid_argument("the request target has no proper host");
    }
    target.remove_prefix(end);
    break;
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  parsed.raw_path = target.substr(0, question);
  if (parsed.raw_path.empty() && !parsed.authority.empty()) parsed.raw_path = "/";
  if (!parsed.raw_path.starts_with('/')) return invalid_argument("the request target is not a path");
  const auto parts = split_path(parsed.raw_path);
  if (!parts) {
    return invalid_argument("the path has a broken escape, a dot part, a control character or is not UTF-8");
  }
  for (const std::string& part : *parts)
    parsed.path += "/" + part;
  MLXR_ASSIGN_OR_RETURN(parsed.query, parse_query(target.substr(std::min(question + 1, target.size()))));
  return parsed;
}

}  // namespace mlxr::http
