#pragma once
// The options of `mlxr run`, and the sampling that they and the model's own recommendation come to.

#include <optional>
#include <string>
#include <vector>

#include "cli/conversation.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

struct RunOptions {
  std::string model;
  std::vector<std::string> prompt;  // words of the prompt
  std::string system;
  std::string tools_file;
  std::optional<float> temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
  std::optional<float> top_n_sigma, xtc_probability, xtc_threshold, dynatemp_range, dynatemp_exponent;
  std::optional<float> dry_multiplier, dry_base, mirostat_tau, mirostat_eta;
  std::optional<int> top_k, repeat_last_n, dry_allowed_length, dry_last_n, mirostat;
  std::optional<std::int64_t> min_tokens;
  std::optional<std::string> samplers;  // names with ";" between them
  std::vector<std::string> dry_breakers, bad_words;
  bool ignore_eos = false;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> logit_bias;  // "ID=VALUE"
  std::int64_t max_tokens = -1;
  std::vector<std::string> stop;
  std::string keep_alive, format, think;
  bool local = false, insecure = false, hide_thinking = false, no_word_wrap = false;
  bool raw = false;
  bool verbose = false;
  ModelOptions model_options;
};

void declare_run_options(CLI::App& app, RunOptions& options);

// Parameters of /set (repl/settings.h) that the flags give, as text: what is sent to the daemon. Throws
// CLI::ValidationError for a value that makes no sense.
std::vector<std::pair<std::string, std::string>> given_parameters(const RunOptions& options);
// [[id, bias]], -infinity as false; null: none was given. Throws likewise.
nlohmann::ordered_json logit_bias_json(const RunOptions& options);

// "top_k;temperature" -> its names; "": none.
std::vector<std::string> sampler_list(const std::string& text);

// Flags first, then the model's recommendation, then the defaults of SamplingParams. Throws CLI::ValidationError for a
// value that makes no sense.
SamplingParams sampling_params(const RunOptions& options, const LoadedModel& model);

}  // namespace mlxr::cli
