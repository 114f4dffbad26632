#pragma once
// A compiled pattern of a tokenizer file (PCRE2 with JIT). Patterns and texts may be hostile: a match that backtracks
// beyond a limit ends the search, and patterns whose search time grows with the square of the text are known as such.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

// Offsets in bytes.
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const TextRange&) const = default;
};

class Regex {
 public:
  // `pattern` in the syntax of tokenizer files (regex_dialect.h). Fails with kInvalidArgument and one line that names
  // the offset; patterns over 64 KiB fail too.
  static Result<Regex> compile(std::string_view pattern);

  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  const std::string& pattern() const;

  // False when a probe with runs of one character made the search more than linear: callers then cut long runs.
  bool linear() const;

  // Finds the matches of one text from left to right, empty ones included (but none that touches the match before).
  // Not thread-safe; any number of searches may share one Regex.
  class Search {
   public:
    explicit Search(const Regex& regex);
    Search(Search&&) noexcept;
    ~Search();

    // `text` must be valid UTF-8 and outlive the search.
    void start(std::string_view text);
    // False at the end of the text, and for good once a match has exceeded its limit (see exhausted()).
    bool next(TextRange& match);
    bool exhausted() const;

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

}  // namespace mlxr
