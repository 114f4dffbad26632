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

}  // namespace

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
  params.seed = options.seed;
  for (const std::string& bias : options.logit_bias)
    add_logit_bias(bias, params);
  const Status status = params.validate(model.tokenizer()->vocab_size());
  if (!status.ok()) throw CLI::ValidationError("run", status.message());
  return params;
}

}  // namespace mlxr::cli
