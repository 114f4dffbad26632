#include "cli/repl/settings.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/run_options.h"

namespace mlxr::cli {
namespace {

using Field = bool (*)(GenerateOptions&, const std::string& value);
using Show = std::string (*)(const GenerateOptions&);

struct Parameter {
  const char* name;
  const char* help;
  Field set;  // false: the text is no value of this parameter
  Show show;
};

template <auto Member>
bool set_sampling(GenerateOptions& options, const std::string& value) {
  return CLI::detail::lexical_cast(value, options.sampling.*Member);
}
template <auto Member>
std::string show_sampling(const GenerateOptions& options) {
  return fmt::format("{}", options.sampling.*Member);
}

std::string quoted(const std::vector<std::string>& texts) {
  std::string shown;
  for (const std::string& text : texts)
    shown += (shown.empty() ? "\"" : ", \"") + text + "\"";
  return shown.empty() ? "none" : shown;
}

// Adds one; "none" takes all away.
template <auto Member>
bool add_text(GenerateOptions& options, const std::string& value) {
  auto& texts = options.sampling.*Member;
  if (value == "none") {
    texts.clear();
  } else {
    texts.push_back(value);
  }
  return !value.empty();
}
template <auto Member>
std::string show_texts(const GenerateOptions& options) {
  return quoted(options.sampling.*Member);
}

bool set_samplers(GenerateOptions& options, const std::string& value) {
  options.sampling.samplers.reset();
  if (value != "default") options.sampling.samplers = sampler_list(value);
  return true;
}
std::string show_samplers(const GenerateOptions& options) {
  const auto& samplers = options.sampling.samplers;
  return samplers ? fmt::format("{}", fmt::join(*samplers, ";")) : "default";
}

bool set_seed(GenerateOptions& options, const std::string& value) {
  std::uint64_t seed = 0;
  if (value == "random") {
    options.sampling.seed.reset();
    return true;
  }
  if (!CLI::detail::lexical_cast(value, seed)) return false;
  options.sampling.seed = seed;
  return true;
}
std::string show_seed(const GenerateOptions& options) {
  return options.sampling.seed ? fmt::format("{}", *options.sampling.seed) : "random";
}

bool set_num_predict(GenerateOptions& options, const std::string& value) {
  return CLI::detail::lexical_cast(value, options.max_tokens) && options.max_tokens >= -1;
}
std::string show_num_predict(const GenerateOptions& options) {
  return fmt::format("{}", options.max_tokens);
}

bool add_stop(GenerateOptions& options, const std::string& value) {
  options.stop.push_back(value);
  return !value.empty();
}
std::string show_stop(const GenerateOptions& options) {
  return quoted(options.stop);
}

constexpr Parameter kParameters[] = {
    {"temperature", "0: always the most likely token", set_sampling<&SamplingParams::temperature>,
     show_sampling<&SamplingParams::temperature>},
    {"top_k", "keep the K most likely tokens; 0: all", set_sampling<&SamplingParams::top_k>,
     show_sampling<&SamplingParams::top_k>},
    {"top_p", "keep tokens of this probability together; 1: all", set_sampling<&SamplingParams::top_p>,
     show_sampling<&SamplingParams::top_p>},
    {"min_p", "keep tokens at least this fraction as likely as the best; 0: all", set_sampling<&SamplingParams::min_p>,
     show_sampling<&SamplingParams::min_p>},
    {"typical_p", "keep the most typical tokens; 1: all", set_sampling<&SamplingParams::typical_p>,
     show_sampling<&SamplingParams::typical_p>},
    {"repeat_penalty", "weaken tokens seen lately; 1: off", set_sampling<&SamplingParams::repetition_penalty>,
     show_sampling<&SamplingParams::repetition_penalty>},
    {"presence_penalty", "taken off tokens seen lately; 0: off", set_sampling<&SamplingParams::presence_penalty>,
     show_sampling<&SamplingParams::presence_penalty>},
    {"frequency_penalty", "taken off for each time seen lately; 0: off",
     set_sampling<&SamplingParams::frequency_penalty>, show_sampling<&SamplingParams::frequency_penalty>},
    {"repeat_last_n", "how many tokens count as lately; -1: all", set_sampling<&SamplingParams::penalty_last_n>,
     show_sampling<&SamplingParams::penalty_last_n>},
    {"top_n_sigma", "keep logits within N deviations of the highest; 0: all",
     set_sampling<&SamplingParams::top_n_sigma>, show_sampling<&SamplingParams::top_n_sigma>},
    {"xtc_probability", "leave out the top choices this often; 0: never",
     set_sampling<&SamplingParams::xtc_probability>, show_sampling<&SamplingParams::xtc_probability>},
    {"xtc_threshold", "how likely a top choice is", set_sampling<&SamplingParams::xtc_threshold>,
     show_sampling<&SamplingParams::xtc_threshold>},
    {"dynatemp_range", "temperature moves this far with the entropy; 0: fixed",
     set_sampling<&SamplingParams::dynatemp_range>, show_sampling<&SamplingParams::dynatemp_range>},
    {"dynatemp_exponent", "power of the entropy in it", set_sampling<&SamplingParams::dynatemp_exponent>,
     show_sampling<&SamplingParams::dynatemp_exponent>},
    {"dry_multiplier", "weaken what lengthens a repetition; 0: off", set_sampling<&SamplingParams::dry_multiplier>,
     show_sampling<&SamplingParams::dry_multiplier>},
    {"dry_base", "growth of that for each repeated token", set_sampling<&SamplingParams::dry_base>,
     show_sampling<&SamplingParams::dry_base>},
    {"dry_allowed_length", "repeated tokens that cost nothing", set_sampling<&SamplingParams::dry_allowed_length>,
     show_sampling<&SamplingParams::dry_allowed_length>},
    {"dry_penalty_last_n", "tokens searched for repetitions; -1: all",
     set_sampling<&SamplingParams::dry_penalty_last_n>, show_sampling<&SamplingParams::dry_penalty_last_n>},
    {"dry_sequence_breaker", "nothing is repeated across this text (adds one; none: clears)",
     add_text<&SamplingParams::dry_sequence_breakers>, show_texts<&SamplingParams::dry_sequence_breakers>},
    {"mirostat", "hold the surprise steady instead of cutting: 1 or 2; 0: off", set_sampling<&SamplingParams::mirostat>,
     show_sampling<&SamplingParams::mirostat>},
    {"mirostat_tau", "the surprise to hold, in bits a token", set_sampling<&SamplingParams::mirostat_tau>,
     show_sampling<&SamplingParams::mirostat_tau>},
    {"mirostat_eta", "how fast it learns", set_sampling<&SamplingParams::mirostat_eta>,
     show_sampling<&SamplingParams::mirostat_eta>},
    {"samplers", "which run, in this order: \"top_k;temperature\"; default", set_samplers, show_samplers},
    {"bad_word", "text that never appears (adds one; none: clears)", add_text<&SamplingParams::bad_words>,
     show_texts<&SamplingParams::bad_words>},
    {"ignore_eos", "true: never end before num_predict", set_sampling<&SamplingParams::ignore_eos>,
     show_sampling<&SamplingParams::ignore_eos>},
    {"min_tokens", "do not end before this many tokens", set_sampling<&SamplingParams::min_tokens>,
     show_sampling<&SamplingParams::min_tokens>},
    {"seed", "the same seed gives the same text; random: a fresh one", set_seed, show_seed},
    {"num_predict", "tokens an answer at most; -1: no limit", set_num_predict, show_num_predict},
    {"stop", "end answers before this text (adds one)", add_stop, show_stop},
};

}  // namespace

Status set_parameter(GenerateOptions& options, std::string_view name, std::string_view value) {
  for (const Parameter& parameter : kParameters) {
    if (name != parameter.name) continue;
    GenerateOptions changed = options;
    if (!parameter.set(changed, std::string(value))) {
      return invalid_argument(fmt::format("{}: \"{}\" is not a value for it ({})", name, value, parameter.help));
    }
    MLXR_RETURN_IF_ERROR(changed.sampling.validate());
    options = std::move(changed);
    return {};
  }
  std::string names;
  for (const Parameter& parameter : kParameters)
    names += (names.empty() ? "" : ", ") + std::string(parameter.name);
  return invalid_argument(fmt::format("no parameter \"{}\"; there are {}", name, names));
}

std::vector<ParameterText> parameter_texts(const GenerateOptions& options) {
  std::vector<ParameterText> texts;
  for (const Parameter& parameter : kParameters) {
    texts.push_back({parameter.name, parameter.show(options), parameter.help});
  }
  return texts;
}

}  // namespace mlxr::cli
