#include "daemon/http/router.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/base/check.h"
#include "daemon/http/target.h"

namespace mlxr::http {
namespace {

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::vector<Router::Part> Router::parse_pattern(std::string_view pattern) {
  MLXR_CHECK(pattern.starts_with('/'), "a pattern begins with a slash");
  std::vector<Part> parts;
  for (std::size_t start = 1; start <= pattern.size();) {
    const std::size_t end = std::min(pattern.find('/', start), pattern.size());
    const std::string_view text = pattern.substr(start, end - start);
    MLXR_CHECK(parts.empty() || parts.back().kind != PartKind::kRest, "{name*} stands at the end of a pattern");
    if (text.starts_with('{') && text.ends_with("*}")) {
      parts.push_back({PartKind::kRest, std::string(text.substr(1, text.size() - 3))});
    } else if (text.starts_with('{') && text.ends_with('}')) {
      parts.push_back({PartKind::kName, std::string(text.substr(1, text.size() - 2))});
    } else {
      parts.push_back({PartKind::kLiteral, std::string(text)});
    }
    start = end + 1;
  }
  return parts;
}

bool Router::fits(const std::vector<Part>& pattern, const std::vector<std::string>& parts,
                  std::map<std::string, std::string>& captures) {
  captures.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const Part& part = pattern[i];
    if (i >= parts.size()) return false;
    if (part.kind == PartKind::kRest) {
      std::string rest = parts[i];
      for (std::size_t j = i + 1; j < parts.size(); ++j)
        rest += "/" + parts[j];
      if (rest.empty()) return false;
      captures[part.text] = std::move(rest);
      return true;
    }
    if (part.kind == PartKind::kLiteral) {
      if (part.text != parts[i]) return false;
    } else {
      if (parts[i].empty()) return false;
      captures[part.text] = parts[i];
    }
  }
  return pattern.size() == parts.size();
}

bool Router::more_literal(const std::vector<Part>& a, const std::vector<Part>& b) {
  return std::ranges::lexicographical_compare(a, b, {}, &Part::kind, &Part::kind);
}

void Router::add(Route route) {
  MLXR_CHECK(route.handler != nullptr, "a route has a handler");
  std::vector<Part> pattern = parse_pattern(route.pattern);
  const auto same_part = [](const Part& a, const Part& b) {
    return a.kind == b.kind && (a.kind != PartKind::kLiteral || a.text == b.text);
  };
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    MLXR_CHECK(routes_[i].method != route.method || !std::ranges::equal(patterns_[i], pattern, same_part),
               "two routes have the same method and pattern");
  }
  routes_.push_back(std::move(route));
  patterns_.push_back(std::move(pattern));
}

void Router::wrap_handlers(const std::function<Handler(const Route& route)>& wrap) {
  for (Route& route : routes_)
    route.handler = wrap(route);
}

void Router::set_errors(std::string prefix, ErrorShape errors) {
  errors_.emplace_back(std::move(prefix), std::move(errors));
}

Router::Match Router::find(Method method, std::string_view path) const {
  Match match;
  const auto parts = split_path(path);
  if (!parts) return match;
  const std::vector<Part>* best = nullptr;
  bool exact = false;  // the best one has the method itself: HEAD rather than GET for HEAD
  std::map<std::string, std::string> captures;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!fits(patterns_[i], *parts, captures)) continue;
    const Route& route = routes_[i];
    if (std::ranges::find(match.allowed, route.method) == match.allowed.end()) match.allowed.push_back(route.method);
    const bool same = route.method == method;
    if (!same && !(method == Method::kHead && route.method == Method::kGet)) continue;
    if (best != nullptr && !more_literal(patterns_[i], *best) && (more_literal(*best, patterns_[i]) || exact)) continue;
    best = &patterns_[i];
    exact = same;
    match.route = &route;
    match.captures = captures;
  }
  const auto allows = [&](Method wanted) { return std::ranges::find(match.allowed, wanted) != match.allowed.end(); };
  if (allows(Method::kGet) && !allows(Method::kHead)) match.allowed.push_back(Method::kHead);
  std::ranges::sort(match.allowed);
  return match;
}

Response Router::error(std::string_view path, int status, const std::string& message) const {
  const std::pair<std::string, ErrorShape>* best = nullptr;
  for (const auto& entry : errors_) {
    if (path.starts_with(entry.first) && (best == nullptr || entry.first.size() >= best->first.size())) best = &entry;
  }
  if (best != nullptr) return best->second(status, message);
  return json_response(status, fmt::format("{{\"error\":{}}}", json_quoted(message)));
}

}  // namespace mlxr::http
