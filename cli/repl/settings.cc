#include "cli/repl/settings.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

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
  std::string text;
  for (const std::string& stop : options.stop)
    text += (text.empty() ? "\"" : ", \"") + stop + "\"";
  return text.empty() ? "none" : text;
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
