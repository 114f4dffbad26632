#include "cli/run_options.h"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "cli/model_options.h"

namespace mlxr::cli {
namespace {

template <class T, class Flag, class Model>
void choose(T& out, const std::optional<Flag>& flag, const std::optional<Model>& recommended) {
  if (flag) {
    out = static_cast<T>(*flag);
  } else if (recommended) {
    out = static_cast<T>(*recommended);
  }
}

template <class T>
void choose(T& out, const std::optional<T>& flag) {
  if (flag) out = *flag;
}

void add_logit_bias(const std::string& text, SamplingParams& params) {
  const std::size_t equals = text.find('=');
  TokenId id = 0;
  float value = 0.0F;
  const bool valid = equals != std::string::npos && CLI::detail::lexical_cast(text.substr(0, equals), id) &&
                     CLI::detail::lexical_cast(text.substr(equals + 1), value);
  if (!valid) throw CLI::ValidationError("--logit-bias", fmt::format("\"{}\" is not ID=VALUE", text));
  params.logit_bias[id] = value;
}

void declare_newer_samplers(CLI::App& app, RunOptions& options) {
  app.add_option("--top-n-sigma", options.top_n_sigma, "keep logits within N deviations of the highest; 0: all");
  app.add_option("--xtc-probability", options.xtc_probability, "leave out the top choices this often; 0: never");
  app.add_option("--xtc-threshold", options.xtc_threshold, "how likely a top choice is");
  app.add_option("--dynatemp-range", options.dynatemp_range, "temperature moves this far with the entropy; 0: fixed");
  app.add_option("--dynatemp-exp", options.dynatemp_exponent, "power of the entropy in it");
  app.add_option("--dry-multiplier", options.dry_multiplier, "weaken what lengthens a repetition; 0: off");
  app.add_option("--dry-base", options.dry_base, "growth of that for each repeated token");
  app.add_option("--dry-allowed-length", options.dry_allowed_length, "repeated tokens that cost nothing");
  app.add_option("--dry-penalty-last-n", options.dry_last_n, "tokens searched for repetitions; -1: all");
  app.add_option("--dry-sequence-breaker", options.dry_breakers,
                 "text across which nothing is a repetition; may be repeated, in place of the usual ones; \"none\"");
  app.add_option("--mirostat", options.mirostat, "hold the surprise steady instead of cutting: 1 or 2; 0: off");
  app.add_option("--mirostat-ent", options.mirostat_tau, "the surprise to hold, in bits a token");
  app.add_option("--mirostat-lr", options.mirostat_eta, "how fast it learns");
  app.add_option("--samplers", options.samplers, "which run and in what order: \"penalties;top_k;temperature\"");
  app.add_option("--bad-word", options.bad_words, "text that never appears; may be repeated");
  app.add_flag("--ignore-eos", options.ignore_eos, "never end before --max-tokens");
  app.add_option("--min-tokens", options.min_tokens, "do not end before this many tokens");
}

void choose_newer_samplers(const RunOptions& options, SamplingParams& params) {
  choose(params.top_n_sigma, options.top_n_sigma);
  choose(params.xtc_probability, options.xtc_probability);
  choose(params.xtc_threshold, options.xtc_threshold);
  choose(params.dynatemp_range, options.dynatemp_range);
  choose(params.dynatemp_exponent, options.dynatemp_exponent);
  choose(params.dry_multiplier, options.dry_multiplier);
  choose(params.dry_base, options.dry_base);
  choose(params.dry_allowed_length, options.dry_allowed_length);
  choose(params.dry_penalty_last_n, options.dry_last_n);
  choose(params.mirostat, options.mirostat);
  choose(params.mirostat_tau, options.mirostat_tau);
  choose(params.mirostat_eta, options.mirostat_eta);
  choose(params.min_tokens, options.min_tokens);
  if (!options.dry_breakers.empty()) params.dry_sequence_breakers = options.dry_breakers;
  if (options.dry_breakers == std::vector<std::string>{"none"}) params.dry_sequence_breakers.clear();
  if (options.samplers) params.samplers = sampler_list(*options.samplers);
  params.bad_words = options.bad_words;
  params.ignore_eos = options.ignore_eos;
}

}  // namespace

std::vector<std::string> sampler_list(const std::string& text) {
  return text.empty() ? std::vector<std::string>{} : CLI::detail::split(text, ';');
}

void declare_run_options(CLI::App& app, RunOptions& options) {
  app.add_option("model", options.model, "GGUF file, Hugging Face folder, or name (default: the starter model)");
  app.add_option("prompt", options.prompt, "what to say; nothing: a conversation, or standard input when it is piped");
  app.add_option("--system", options.system, "system message");
  app.add_option("--tools", options.tools_file, "JSON file with a list of tools");
  app.add_option("--temperature", options.temperature, "0: always the most likely token");
  app.add_option("--top-k", options.top_k, "keep the K most likely tokens; 0: all");
  app.add_option("--top-p", options.top_p, "keep the most likely tokens of this probability together; 1: all");
  app.add_option("--min-p", options.min_p, "keep tokens at least this fraction as likely as the most likely; 0: all");
  app.add_option("--typical-p", options.typical_p, "keep the most typical tokens of this probability together; 1: all");
  app.add_option("--repeat-penalty", options.repeat_penalty, "weaken tokens seen lately; 1: off");
  app.add_option("--presence-penalty", options.presence_penalty, "taken off tokens seen lately; 0: off");
  app.add_option("--frequency-penalty", options.frequency_penalty, "taken off for each time seen lately; 0: off");
  app.add_option("--repeat-last-n", options.repeat_last_n, "how many tokens count as lately; -1: all");
  app.add_option("--logit-bias", options.logit_bias, "ID=VALUE, added to a token's logit; may be repeated");
  declare_newer_samplers(app, options);
  app.add_option("--seed", options.seed, "the same seed gives the same text");
  app.add_option("-n,--max-tokens", options.max_tokens, "tokens to generate at most (default: until the model ends)")
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--stop", options.stop, "end the answer before this text; may be repeated");
  app.add_flag("--raw", options.raw, "give the prompt as it is, without the chat template");
  app.add_flag("--verbose", options.verbose, "print speed and memory to standard error");
  add_backend_options(app, options.model_options);
  add_context_option(app, options.model_options);
  add_kv_type_option(app, options.model_options);
}

SamplingParams sampling_params(const RunOptions& options, const LoadedModel& model) {
  const SamplingDefaults& recommended = model.sampling_defaults();
  SamplingParams params;
  choose(params.temperature, options.temperature, recommended.temperature);
  choose(params.top_k, options.top_k, recommended.top_k);
  choose(params.top_p, options.top_p, recommended.top_p);
  choose(params.min_p, options.min_p, recommended.min_p);
  choose(params.repetition_penalty, options.repeat_penalty, recommended.repetition_penalty);
  choose(params.typical_p, options.typical_p);
  choose(params.presence_penalty, options.presence_penalty);
  choose(params.frequency_penalty, options.frequency_penalty);
  choose(params.penalty_last_n, options.repeat_last_n);
  choose_newer_samplers(options, params);
  params.seed = options.seed;
  for (const std::string& bias : options.logit_bias)
    add_logit_bias(bias, params);
  const Status status = params.validate(model.tokenizer()->vocab_size());
  if (!status.ok()) throw CLI::ValidationError("run", status.message());
  return params;
}

}  // namespace mlxr::cli
