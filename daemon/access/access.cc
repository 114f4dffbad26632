#include "daemon/access/access.h"

#include <cctype>

#include <fmt/core.h>

namespace mlxr {
namespace {

struct ScopeName {
  Scope scope;
  std::string_view name;
};
constexpr ScopeName kScopes[] = {{Scope::kInference, "inference"},
                                 {Scope::kModelsRead, "models:read"},
                                 {Scope::kModelsWrite, "models:write"},
                                 {Scope::kMetrics, "metrics"},
                                 {Scope::kAdmin, "admin"}};

std::string normal_name(std::string_view name) {
  std::string out;
  for (const char c : name)
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::string_view kTag = ":latest";
  if (out.ends_with(kTag)) out.resize(out.size() - kTag.size());
  return out;
}

// Greedy with one place to come back to: linear in practice, quadratic at worst, no recursion.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

}  // namespace

std::string_view scope_name(Scope scope) {
  for (const ScopeName& row : kScopes) {
    if (row.scope == scope) return row.name;
  }
  return "";
}

Result<Scope> parse_scope(std::string_view name) {
  std::string known;
  for (const ScopeName& row : kScopes) {
    if (row.name == name) return row.scope;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return invalid_argument(fmt::format("\"{}\" is not a scope: {}", name.substr(0, 40), known));
}

Scopes Scopes::all() {
  Scopes scopes;
  for (const ScopeName& row : kScopes)
    scopes.add(row.scope);
  return scopes;
}

bool model_matches(std::string_view pattern, std::string_view model) {
  return glob_matches(normal_name(pattern), normal_name(model));
}

bool Caller::may_use(std::string_view model) const {
  if (models.empty()) return true;
  for (const std::string& pattern : models) {
    if (model_matches(pattern, model)) return true;
  }
  return false;
}

std::string_view denial_reason_name(Denial::Reason reason) {
  switch (reason) {
    case Denial::Reason::kNoKey:
      return "no_key";
    case Denial::Reason::kBadKey:
      return "bad_key";
    case Denial::Reason::kExpired:
      return "expired";
    case Denial::Reason::kScope:
      return "scope";
    case Denial::Reason::kModel:
      return "model";
    case Denial::Reason::kRate:
      return "rate";
    case Denial::Reason::kQuota:
      return "quota";
  }
  return "";
}

}  // namespace mlxr
