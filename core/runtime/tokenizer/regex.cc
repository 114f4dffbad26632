#include "core/runtime/tokenizer/regex.h"

#include <algorithm>
#include <array>
#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/core.h>
#include <pcre2.h>

#include "core/base/check.h"
#include "core/base/utf8.h"
#include "core/runtime/tokenizer/regex_dialect.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxPatternBytes = 64 * 1024;
// Backtracking steps of one match. A run of a megabyte backtracks once a character at most in sane patterns.
constexpr std::uint32_t kMatchLimit = 20'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kJitStackStart = 64 * 1024;
constexpr std::size_t kJitStackMax = 64 * 1024 * 1024;

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeCompile {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using CodePtr = std::unique_ptr<pcre2_code, FreeCode>;
using MatchPtr = std::unique_ptr<pcre2_match_data, FreeMatch>;
using ContextPtr = std::unique_ptr<pcre2_match_context, FreeContext>;

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

Result<CodePtr> compile_pattern(const std::string& pattern, std::string_view original, std::uint32_t extra) {
  const std::unique_ptr<pcre2_compile_context, FreeCompile> context(pcre2_compile_context_create(nullptr));
  MLXR_CHECK(context != nullptr, "out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | extra;
  CodePtr code(pcre2_compile(units(pattern), pattern.size(), options, &error, &offset, context.get()));
  if (code != nullptr) return code;
  std::array<char, 200> reason{};
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(reason.data()), reason.size());
  const std::string shown = to_valid_utf8(original.substr(0, 80));
  return invalid_argument(fmt::format("bad pattern \"{}\": {} (near offset {})", shown, reason.data(), offset));
}

int count_step(pcre2_callout_block*, void* data) {
  auto* left = static_cast<std::uint64_t*>(data);
  if (*left == 0) return PCRE2_ERROR_CALLOUT;
  --*left;
  return 0;
}

// Counts the steps of a search over runs of one character, with the optimisations off that would hide them. A linear
// pattern needs a few dozen a character.
bool search_is_linear(const std::string& pattern) {
  constexpr std::size_t kRun = 512;
  constexpr std::uint64_t kStepsPerChar = 100;
  constexpr std::array<std::string_view, 9> kRuns = {" ", "\n", "a", "A", "1", "!", "\xE4\xB8\xAD", "'", " a"};
  constexpr std::array<std::string_view, 5> kEnds = {"", "x", "1", "\n", "!"};
  const auto code = compile_pattern(
      pattern, pattern, PCRE2_NO_AUTO_POSSESS | PCRE2_AUTO_CALLOUT | PCRE2_NO_START_OPTIMIZE | PCRE2_NO_DOTSTAR_ANCHOR);
  if (!code.ok()) return false;
  const ContextPtr context(pcre2_match_context_create(nullptr));
  const MatchPtr match(pcre2_match_data_create_from_pattern(code->get(), nullptr));
  MLXR_CHECK(context != nullptr && match != nullptr, "out of memory");
  for (const std::string_view run : kRuns) {
    for (const std::string_view end : kEnds) {
      std::string text;
      for (std::size_t i = 0; i < kRun; ++i)
        text += run;
      text += end;
      std::uint64_t left = kStepsPerChar * kRun;
      pcre2_set_callout(context.get(), count_step, &left);
      std::size_t at = 0;
      while (at <= text.size()) {
        const int rc =
            pcre2_match(code->get(), units(text), text.size(), at, PCRE2_NO_UTF_CHECK, match.get(), context.get());
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc < 0) return false;
        const std::size_t stop = pcre2_get_ovector_pointer(match.get())[1];
        at = stop > at ? stop : at + (at < text.size() ? decode_utf8(std::string_view(text).substr(at)).length : 1);
      }
    }
  }
  return true;
}

}  // namespace

struct Regex::Code {
  std::string pattern;
  CodePtr code;
  bool jit = false;
  bool linear = false;
};

struct Regex::Search::State {
  const Regex::Code* code = nullptr;
  MatchPtr match;
  ContextPtr context;
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack;
  std::string_view text;
  std::size_t at = 0;
  std::size_t last_end = 0;
  bool matched_before = false;
  bool exhausted = false;

  // pcre2_match's return code, with the big JIT stack tried when the small one is too small.
  int match_at(std::size_t from) {
    const pcre2_code* pattern = code->code.get();
    if (!code->jit) {
      return pcre2_match(pattern, units(text), text.size(), from, PCRE2_NO_UTF_CHECK, match.get(), context.get());
    }
    int rc = pcre2_jit_match(pattern, units(text), text.size(), from, 0, match.get(), context.get());
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT || stack != nullptr) return rc;
    stack.reset(pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr));
    if (stack == nullptr) return rc;
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
    return pcre2_jit_match(pattern, units(text), text.size(), from, 0, match.get(), context.get());
  }
};

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) return invalid_argument("pattern is longer than 64 KiB");
  if (!is_valid_utf8(pattern)) return invalid_argument("pattern is not valid UTF-8");
  MLXR_ASSIGN_OR_RETURN(const std::string translated, translate_regex(pattern));
  auto code = std::make_unique<Code>();
  code->pattern = std::string(pattern);
  MLXR_ASSIGN_OR_RETURN(code->code, compile_pattern(translated, pattern, 0));
  // Where the JIT is not available the interpreter does the same work, slower.
  code->jit = pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE) == 0;
  code->linear = search_is_linear(translated);
  return Regex(std::move(code));
}

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

const std::string& Regex::pattern() const {
  return code_->pattern;
}
bool Regex::linear() const {
  return code_->linear;
}

Regex::Search::Search(const Regex& regex) : state_(std::make_unique<State>()) {
  state_->code = regex.code_.get();
  state_->match.reset(pcre2_match_data_create(1, nullptr));
  state_->context.reset(pcre2_match_context_create(nullptr));
  MLXR_CHECK(state_->match != nullptr && state_->context != nullptr, "out of memory");
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
  pcre2_set_heap_limit(state_->context.get(), kHeapLimitKib);
}

Regex::Search::Search(Search&&) noexcept = default;
Regex::Search::~Search() = default;

void Regex::Search::start(std::string_view text) {
  state_->text = text;
  state_->at = 0;
  state_->last_end = 0;
  state_->matched_before = false;
}

bool Regex::Search::exhausted() const {
  return state_->exhausted;
}

bool Regex::Search::next(TextRange& match) {
  State& s = *state_;
  while (!s.exhausted && s.at <= s.text.size()) {
    const int rc = s.match_at(s.at);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      s.exhausted = true;
      break;
    }
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(s.match.get());
    const std::size_t begin = offsets[0];
    const std::size_t end = offsets[1];
    // \K in a lookahead can put the start past the end; such a match splits nothing.
    const bool empty = end <= begin;
    s.at = std::max(end, s.at);
    if (empty) s.at += s.at < s.text.size() ? decode_utf8(s.text.substr(s.at)).length : 1;
    if (empty && (end < begin || (s.matched_before && end == s.last_end))) continue;
    s.last_end = end;
    s.matched_before = true;
    match = {begin, end};
    return true;
  }
  s.at = s.text.size() + 1;
  return false;
}

}  // namespace mlxr
