#include "core/runtime/sampler/sampling_params.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace mlxr {
namespace {

template <class Number>
struct Range {
  const char* name;
  Number SamplingParams::*field;
  Number low;
  Number high;
};

constexpr float kAnyHigh = 1e6F;
constexpr float kLeastRepetition = 1e-3F;
constexpr std::array<Range<float>, 16> kFloatRanges = {{
    {"temperature", &SamplingParams::temperature, 0.0F, kAnyHigh},
    {"dynatemp_range", &SamplingParams::dynatemp_range, 0.0F, kAnyHigh},
    {"dynatemp_exponent", &SamplingParams::dynatemp_exponent, 0.0F, kAnyHigh},
    {"top_p", &SamplingParams::top_p, 0.0F, 1.0F},
    {"min_p", &SamplingParams::min_p, 0.0F, 1.0F},
    {"typical_p", &SamplingParams::typical_p, 0.0F, 1.0F},
    {"top_n_sigma", &SamplingParams::top_n_sigma, -kAnyHigh, kAnyHigh},
    {"xtc_probability", &SamplingParams::xtc_probability, 0.0F, 1.0F},
    {"xtc_threshold", &SamplingParams::xtc_threshold, 0.0F, 1.0F},
    {"repetition_penalty", &SamplingParams::repetition_penalty, kLeastRepetition, kAnyHigh},
    {"frequency_penalty", &SamplingParams::frequency_penalty, -kAnyHigh, kAnyHigh},
    {"presence_penalty", &SamplingParams::presence_penalty, -kAnyHigh, kAnyHigh},
    {"dry_multiplier", &SamplingParams::dry_multiplier, 0.0F, kAnyHigh},
    {"dry_base", &SamplingParams::dry_base, 0.0F, kAnyHigh},
    {"mirostat_tau", &SamplingParams::mirostat_tau, 0.0F, kAnyHigh},
    {"mirostat_eta", &SamplingParams::mirostat_eta, 0.0F, kAnyHigh},
}};

constexpr int kAnyCount = std::numeric_limits<int>::max();
constexpr std::array<Range<int>, 5> kIntRanges = {{
    {"top_k", &SamplingParams::top_k, 0, kAnyCount},
    {"penalty_last_n", &SamplingParams::penalty_last_n, -1, kAnyCount},
    {"dry_allowed_length", &SamplingParams::dry_allowed_length, 0, kAnyCount},
    {"dry_penalty_last_n", &SamplingParams::dry_penalty_last_n, -1, kAnyCount},
    {"mirostat", &SamplingParams::mirostat, 0, 2},
}};

// A request is hostile: each text costs a look at the whole vocabulary, each run a comparison a token.
struct TextList {
  const char* name;
  std::vector<std::string> SamplingParams::*field;
  std::size_t max_count;
  std::size_t max_bytes;
};
constexpr std::array<TextList, 2> kTextLists = {{
    {"dry_sequence_breakers", &SamplingParams::dry_sequence_breakers, 32, 40},
    {"bad_words", &SamplingParams::bad_words, 64, 256},
}};
constexpr std::size_t kMaxRuns = 1024;
constexpr std::size_t kMaxRunTokens = 256;

// Of the stages in their usual order; "" for those that have no place in SamplingParams::samplers.
constexpr std::string_view kSpellings[] = {
#define MLXR_STAGE(name, spelling, role) spelling,
#include "core/runtime/sampler/stages.def"
#undef MLXR_STAGE
};

struct Spelling {
  std::string_view spelling;
  std::string_view name;
};
constexpr std::array<Spelling, 7> kOtherSpellings = {{
    {"penalty", "penalties"},
    {"repetition_penalty", "penalties"},
    {"typical_p", "typ_p"},
    {"typical", "typ_p"},
    {"typ", "typ_p"},
    {"nucleus", "top_p"},
    {"temp", "temperature"},
}};

template <class Number, std::size_t count>
Status check_ranges(const SamplingParams& params, const std::array<Range<Number>, count>& ranges) {
  for (const auto& range : ranges) {
    const Number value = params.*range.field;
    if (value >= range.low && value <= range.high) continue;
    if (range.high == static_cast<Number>(kAnyCount)) {
      return invalid_argument(fmt::format("{} is {}, less than {}", range.name, value, range.low));
    }
    return invalid_argument(fmt::format("{} is {}, not between {} and {}", range.name, value, range.low, range.high));
  }
  return {};
}

bool in_vocabulary(std::int32_t token, std::size_t vocab_size) {
  return token >= 0 && (vocab_size == 0 || static_cast<std::size_t>(token) < vocab_size);
}

Status check_texts(const SamplingParams& params) {
  for (const TextList& list : kTextLists) {
    const std::vector<std::string>& texts = params.*list.field;
    if (texts.size() > list.max_count) {
      return invalid_argument(fmt::format("{} has {} texts, more than {}", list.name, texts.size(), list.max_count));
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (!texts[i].empty() && texts[i].size() <= list.max_bytes) continue;
      return invalid_argument(
          fmt::format("{}[{}] has {} bytes, not between 1 and {}", list.name, i, texts[i].size(), list.max_bytes));
    }
  }
  return {};
}

Status check_tokens(const SamplingParams& params, std::size_t vocab_size) {
  for (const auto& [token, bias] : params.logit_bias) {
    if (!in_vocabulary(token, vocab_size)) {
      return invalid_argument(fmt::format("logit_bias has token {}, which the vocabulary does not have", token));
    }
    if (!std::isfinite(bias) && bias != -std::numeric_limits<float>::infinity()) {
      return invalid_argument(fmt::format("logit_bias of token {} is {}", token, bias));
    }
  }
  const auto& runs = params.bad_token_sequences;
  if (runs.size() > kMaxRuns) {
    return invalid_argument(fmt::format("bad_token_sequences has {} runs, more than {}", runs.size(), kMaxRuns));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].empty() || runs[i].size() > kMaxRunTokens) {
      return invalid_argument(
          fmt::format("bad_token_sequences[{}] has {} tokens, not between 1 and {}", i, runs[i].size(), kMaxRunTokens));
    }
    for (const std::int32_t token : runs[i]) {
      if (in_vocabulary(token, vocab_size)) continue;
      return invalid_argument(
          fmt::format("bad_token_sequences[{}] has token {}, which the vocabulary does not have", i, token));
    }
  }
  return {};
}

Status check_order(const std::vector<std::string>& samplers) {
  std::vector<std::string_view> seen;
  for (std::size_t i = 0; i < samplers.size(); ++i) {
    const auto name = canonical_sampler_name(samplers[i]);
    if (!name) {
      return invalid_argument(
          fmt::format("samplers[{}] is \"{}\", not one of {}", i, samplers[i], fmt::join(sampler_names(), ", ")));
    }
    if (std::find(seen.begin(), seen.end(), *name) != seen.end()) {
      return invalid_argument(fmt::format("samplers[{}] names {} a second time", i, *name));
    }
    seen.push_back(*name);
  }
  return {};
}

}  // namespace

std::vector<std::string> sampler_names() {
  std::vector<std::string> names;
  for (const std::string_view spelling : kSpellings) {
    if (!spelling.empty()) names.emplace_back(spelling);
  }
  return names;
}

std::optional<std::string_view> canonical_sampler_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  for (const std::string_view known : kSpellings) {
    if (!known.empty() && plain == known) return known;
  }
  for (const Spelling& other : kOtherSpellings) {
    if (plain == other.spelling) return other.name;
  }
  return std::nullopt;
}

Status SamplingParams::validate(std::size_t vocab_size) const {
  MLXR_RETURN_IF_ERROR(check_ranges(*this, kFloatRanges));
  MLXR_RETURN_IF_ERROR(check_ranges(*this, kIntRanges));
  if (min_tokens < 0) return invalid_argument(fmt::format("min_tokens is {}, less than 0", min_tokens));
  MLXR_RETURN_IF_ERROR(check_texts(*this));
  MLXR_RETURN_IF_ERROR(check_tokens(*this, vocab_size));
  return samplers ? check_order(*samplers) : Status{};
}

}  // namespace mlxr
