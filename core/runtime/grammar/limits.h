#pragma once
// Bounds on what a grammar from outside may cost. Passing one is an error of one line, never a hang.

#include <cstddef>
#include <cstdint>

namespace mlxr {

struct GrammarLimits {
  std::size_t max_source_bytes = 4U << 20;  // of a grammar, an expression or a schema
  int max_depth = 200;                      // of nested groups, schemas and values
  std::size_t max_expressions = 1'000'000;  // nodes of the parsed grammar
  std::size_t max_states = 400'000;         // of all automata before they are reduced
  int max_repeat = 100'000;                 // the largest count in {m,n}, maxLength, maxItems
  // Of one matcher: places in the grammar that a text may be at.
  std::size_t max_places = 5'000;
  // Work of one mask or one accepted token, in visited places and nodes of the trie.
  std::int64_t max_work = 40'000'000;
  // Memory for states and masks that all matchers of a grammar share; the oldest are made anew beyond it.
  std::size_t cache_bytes = 128U << 20;
};

}  // namespace mlxr
