#include "cli/run_options.h"

#include <cmath>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/model_options.h"
#include "cli/repl/settings.h"

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
  app.add_option("--keepalive", options.keep_alive, "how long the daemon keeps the model loaded: \"5m\", -1 for ever");
  app.add_option("--format", options.format, "json, or a JSON Schema that the answer follows");
  app.add_option("--think", options.think, "let the model think, or how much: true, false, low, medium, high")
      ->expected(0, 1)
      ->default_str("true");
  app.add_flag("--hidethinking", options.hide_thinking, "do not show what the model thinks");
  app.add_flag("--nowordwrap", options.no_word_wrap, "do not break lines between words");
  app.add_flag("--insecure", options.insecure, "pull from registries without TLS, too");
  app.add_flag("--local", options.local, "run in this process, without the daemon");
  app.add_flag("--verbose", options.verbose, "print speed and memory to standard error");
  add_backend_options(app, options.model_options);
  add_context_option(app, options.model_options);
  add_kv_type_option(app, options.model_options);
}

std::vector<std::pair<std::string, std::string>> given_parameters(const RunOptions& options) {
  std::vector<std::pair<std::string, std::string>> given;
  const auto add = [&given](const char* name, const auto& value) {
    if (value) given.emplace_back(name, fmt::format("{}", *value));
  };
  add("temperature", options.temperature);
  add("top_k", options.top_k);
  add("top_p", options.top_p);
  add("min_p", options.min_p);
  add("typical_p", options.typical_p);
  add("repeat_penalty", options.repeat_penalty);
  add("presence_penalty", options.presence_penalty);
  add("frequency_penalty", options.frequency_penalty);
  add("repeat_last_n", options.repeat_last_n);
  add("top_n_sigma", options.top_n_sigma);
  add("xtc_probability", options.xtc_probability);
  add("xtc_threshold", options.xtc_threshold);
  add("dynatemp_range", options.dynatemp_range);
  add("dynatemp_exponent", options.dynatemp_exponent);
  add("dry_multiplier", options.dry_multiplier);
  add("dry_base", options.dry_base);
  add("dry_allowed_length", options.dry_allowed_length);
  add("dry_penalty_last_n", options.dry_last_n);
  add("mirostat", options.mirostat);
  add("mirostat_tau", options.mirostat_tau);
  add("mirostat_eta", options.mirostat_eta);
  add("min_tokens", options.min_tokens);
  add("samplers", options.samplers);
  add("seed", options.seed);
  if (!options.dry_breakers.empty()) given.emplace_back("dry_sequence_breaker", "none");
  for (const std::string& breaker : options.dry_breakers)
    given.emplace_back("dry_sequence_breaker", breaker);
  for (const std::string& word : options.bad_words)
    given.emplace_back("bad_word", word);
  for (const std::string& stop : options.stop)
    given.emplace_back("stop", stop);
  if (options.ignore_eos) given.emplace_back("ignore_eos", "true");
  if (options.max_tokens >= 0) given.emplace_back("num_predict", std::to_string(options.max_tokens));
  GenerateOptions checked;
  for (const auto& [name, value] : given) {
    const Status status = set_parameter(checked, name, value);
    if (!status.ok()) throw CLI::ValidationError("run", status.message());
  }
  return given;
}

nlohmann::ordered_json logit_bias_json(const RunOptions& options) {
  if (options.logit_bias.empty()) return {};
  SamplingParams params;
  for (const std::string& bias : options.logit_bias)
    add_logit_bias(bias, params);
  nlohmann::ordered_json pairs = nlohmann::ordered_json::array();
  for (const auto& [id, bias] : params.logit_bias) {
    const nlohmann::ordered_json value =
        std::isinf(bias) ? nlohmann::ordered_json(false) : nlohmann::ordered_json(bias);
    pairs.push_back(nlohmann::ordered_json::array({id, value}));
  }
  return pairs;
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
