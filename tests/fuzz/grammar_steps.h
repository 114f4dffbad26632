#pragma once
// What the fuzz targets of grammars share: small limits, and a matcher driven by bytes of the input.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/grammar_matcher.h"

namespace mlxr {

inline GrammarOptions fuzz_grammar_options() {
  GrammarOptions options;
  options.limits.max_source_bytes = 1U << 16;
  options.limits.max_expressions = 20'000;
  options.limits.max_states = 8'000;
  options.limits.max_repeat = 2'000;
  options.limits.max_depth = 60;
  options.limits.max_places = 300;
  options.limits.max_work = 300'000;
  options.limits.cache_bytes = 1U << 20;
  return options;
}

// A step either takes a token (and compares with the mask), or goes back.
inline void run_grammar_steps(const std::shared_ptr<const Grammar>& grammar, std::string_view steps) {
  static const std::shared_ptr<const TokenTrie> kTrie = [] {
    std::vector<TokenTrie::VocabularyToken> tokens;
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back({std::string(1, static_cast<char>(byte)), false, false});
    for (const char* text :
         {"ab", "abc", "\":", "{\"", "\",\"", "}]", "true", "  ", "\n ", "12", "hello", "\xc3\xa9", "\\u00"})
      tokens.push_back({text, false, false});
    tokens.push_back({"", true, true});
    return TokenTrie::make(tokens);
  }();
  GrammarMatcher matcher(grammar, kTrie);
  std::int64_t taken = 0;
  for (const char step : steps.substr(0, 64)) {
    const auto byte = static_cast<unsigned char>(step);
    if (byte == 0xF5 && taken > 0) {
      matcher.rollback(1);
      --taken;
      continue;
    }
    const auto token = static_cast<TokenId>(byte >= 0xE0 ? 256 + byte % 14 : byte);
    const auto mask = matcher.mask();
    const bool listed = ((mask[static_cast<std::size_t>(token) / 64] >> (static_cast<unsigned>(token) % 64)) & 1U) != 0;
    const bool accepted = matcher.accept(token);
    if (!matcher.status().ok()) return;
    MLXR_CHECK(listed == accepted, "the mask says what is accepted");
    if (accepted) ++taken;
    static_cast<void>(matcher.forced_bytes());
  }
}

}  // namespace mlxr
