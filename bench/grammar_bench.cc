// What a grammar costs a token: mask() and accept() along a text, as decoding calls them.
//
//   grammar_bench TOKENIZER [ROUNDS [PART_OF_A_NAME [SLOW_US]]]      a file or folder that holds a tokenizer
//
// With SLOW_US the steps whose median over the cold rounds is longer go to standard error, with what was read so far.
//
// Each case is a grammar and texts it allows. Cold rounds compile the grammar anew, so that every state and mask is met
// for the first time; warm rounds use what the rounds before found out, as requests with the same grammar do. Prints
// one JSON object: for each case microseconds a token (mean and percentiles) of both kinds, and the time to compile.
//
// Measured with Llama 3's 128,000 tokens on a busy core of an AMD EPYC, microseconds a token in the mean: cold 20 to 25
// for JSON and simple schemas, 44 for one with patterns, formats and maximal lengths, 66 and 72 for counted text and
// tags; warm 1 to 2. docs/grammar.md has more.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "core/runtime/grammar/grammar.h"
#include "core/runtime/grammar/grammar_matcher.h"
#include "core/runtime/grammar/tagged_text.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr {
namespace {

// The thread's processor time: what else runs on the machine is not the grammar's.
double now_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

struct BenchCase {
  const char* name;
  enum Kind { kGbnf, kSchema, kRegex, kTags } kind;
  const char* source;
  std::vector<const char*> texts;
};

const std::vector<BenchCase>& bench_cases() {
  static const std::vector<BenchCase> kCases = {
#include "bench/grammar_cases.inc"
  };
  return kCases;
}

Result<std::shared_ptr<const Grammar>> compile(const BenchCase& bench_case) {
  if (bench_case.kind == BenchCase::kGbnf) return Grammar::from_gbnf(bench_case.source);
  if (bench_case.kind == BenchCase::kRegex) return Grammar::from_regex(bench_case.source);
  MLXR_ASSIGN_OR_RETURN(std::shared_ptr<const Grammar> content, Grammar::from_json_schema(bench_case.source));
  if (bench_case.kind == BenchCase::kSchema) return content;
  const TextTag tag{{"<tool_call>", {}}, "", std::move(content), {"</tool_call>", {}}};
  return grammar_from_tags({&tag, 1});
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::string summary(const std::vector<double>& times) {
  return fmt::format(
      "{{\"tokens\": {}, \"mean_us\": {:.2f}, \"p50_us\": {:.2f}, \"p99_us\": {:.1f}, \"p999_us\": {:.1f}, \"max_us\": "
      "{:.1f}}}",
      times.size(), mean(times), percentile(times, 0.5), percentile(times, 0.99), percentile(times, 0.999),
      percentile(times, 1));
}

struct Outcome {
  std::vector<double> compile;
  std::vector<double> cold;
  std::vector<double> warm;
};

// Adds the time of each token.
Status run_texts(const BenchCase& bench_case, const std::vector<std::vector<TokenId>>& texts,
                 const Tokenizer& tokenizer, const std::shared_ptr<const Grammar>& grammar,
                 const std::shared_ptr<const TokenTrie>& trie, std::vector<double>& times) {
  for (const std::vector<TokenId>& tokens : texts) {
    GrammarMatcher matcher(grammar, trie);
    for (const TokenId token : tokens) {
      const double step = now_us();
      const auto mask = matcher.mask();
      const bool taken = matcher.accept(token);
      times.push_back(now_us() - step);
      if (!taken || ((mask[static_cast<std::size_t>(token) / 64] >> (token % 64)) & 1U) == 0)
        return internal(
            fmt::format("{}: the text's token '{}' was refused", bench_case.name, tokenizer.token_bytes(token)));
    }
    if (!matcher.may_end()) return internal(fmt::format("{}: the text may not end", bench_case.name));
  }
  return {};
}

Result<Outcome> run_case(const BenchCase& bench_case, const Tokenizer& tokenizer,
                         const std::shared_ptr<const TokenTrie>& trie, int rounds) {
  Outcome out;
  std::vector<std::vector<TokenId>> texts;
  for (const char* text : bench_case.texts)
    texts.push_back(tokenizer.encode(text));
  std::shared_ptr<const Grammar> grammar;
  for (int round = 0; round < rounds; ++round) {
    const double start = now_us();
    MLXR_ASSIGN_OR_RETURN(grammar, compile(bench_case));
    out.compile.push_back(now_us() - start);
    MLXR_RETURN_IF_ERROR(run_texts(bench_case, texts, tokenizer, grammar, trie, out.cold));
  }
  for (int round = 0; round < rounds; ++round)
    MLXR_RETURN_IF_ERROR(run_texts(bench_case, texts, tokenizer, grammar, trie, out.warm));
  return out;
}

// Steps of the texts that are slow in most cold rounds.
void print_slow(const BenchCase& bench_case, const Tokenizer& tokenizer, const std::vector<double>& cold, int rounds,
                double slow_us) {
  std::vector<std::string> steps;
  for (const char* text : bench_case.texts) {
    std::string before;
    for (const TokenId token : tokenizer.encode(text)) {
      const std::string bytes = tokenizer.token_bytes(token);
      steps.push_back(
          fmt::format("...{} | {}", before.substr(before.size() - std::min<std::size_t>(before.size(), 30)), bytes));
      before += bytes;
    }
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::vector<double> times;
    for (std::size_t round = 0; round < static_cast<std::size_t>(rounds); ++round)
      times.push_back(cold[round * steps.size() + i]);
    const double median = percentile(std::move(times), 0.5);
    if (median > slow_us) fmt::print(stderr, "{} step {}: {:.0f} us: {}\n", bench_case.name, i, median, steps[i]);
  }
}

int run(const std::string& path, int rounds, const std::string& part_of_name, double slow_us) {
  auto tokenizer = load_tokenizer(path);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "grammar_bench: %s\n", tokenizer.status().message().c_str());
    return 1;
  }
  const double start = now_us();
  const auto trie = TokenTrie::make(**tokenizer);
  fmt::print("{{\"vocab\": {}, \"rounds\": {}, \"trie_ms\": {:.1f}, \"cases\": {{", trie->vocab_size(), rounds,
             (now_us() - start) / 1000);
  Outcome all;
  const char* comma = "";
  for (const BenchCase& bench_case : bench_cases()) {
    if (std::string(bench_case.name).find(part_of_name) == std::string::npos) continue;
    const auto outcome = run_case(bench_case, **tokenizer, trie, rounds);
    if (!outcome.ok()) {
      std::fprintf(stderr, "grammar_bench: %s\n", outcome.status().message().c_str());
      return 1;
    }
    fmt::print("{}\n  \"{}\": {{\"compile_us\": {:.0f},\n    \"cold\": {},\n    \"warm\": {}}}", comma, bench_case.name,
               percentile(outcome->compile, 0.5), summary(outcome->cold), summary(outcome->warm));
    comma = ",";
    if (slow_us > 0) print_slow(bench_case, **tokenizer, outcome->cold, rounds, slow_us);
    all.cold.insert(all.cold.end(), outcome->cold.begin(), outcome->cold.end());
    all.warm.insert(all.warm.end(), outcome->warm.begin(), outcome->warm.end());
  }
  fmt::print("}},\n  \"cold\": {},\n  \"warm\": {}}}\n", summary(all.cold), summary(all.warm));
  return 0;
}

}  // namespace
}  // namespace mlxr

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: grammar_bench TOKENIZER [ROUNDS [PART_OF_A_NAME [SLOW_US]]]\n");
    return 2;
  }
  return mlxr::run(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 20, argc > 3 ? argv[3] : "",
                   argc > 4 ? std::atof(argv[4]) : 0);
}
