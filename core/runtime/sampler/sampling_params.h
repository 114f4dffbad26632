#pragma once
// How the next token is chosen: what a request may set, with the defaults that llama.cpp made common.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct SamplingParams {
  // Divides the logits that are left after the cuts below. 0 with dynatemp_range 0: always the most likely token.
  float temperature = 0.8F;
  // Above 0 the temperature moves between temperature - range (at least 0) and temperature + range, by the entropy of
  // the candidates: 0 for a sure choice, the upper end when all are equally likely.
  float dynatemp_range = 0.0F;
  // The power to which the entropy, as a share of the highest possible one, is raised.
  float dynatemp_exponent = 1.0F;

  // The most likely tokens that stay. 0: all.
  int top_k = 40;
  // The fewest most likely tokens that together have this probability stay. 1: all.
  float top_p = 0.95F;
  // Tokens at least this fraction as likely as the most likely one stay. 0: all.
  float min_p = 0.05F;
  // The tokens whose information is nearest to the average that together have this probability stay (Meister et al.,
  // "Locally Typical Sampling", 2022). 1: all.
  float typical_p = 1.0F;
  // Tokens within this many standard deviations of the highest logit stay (Tang et al., "Top-n-sigma: Not All Logits
  // Are You Need", 2024). 0 or less: all.
  float top_n_sigma = -1.0F;
  // With this probability all tokens of at least xtc_threshold but the least likely of them are left out ("exclude top
  // choices"); never the end of text nor a line break, in whose presence nothing is left out. 0: off.
  float xtc_probability = 0.0F;
  float xtc_threshold = 0.1F;

  // Tokens seen lately: the logit is divided by this when positive and multiplied when negative (Keskar et al., "CTRL",
  // 2019). 1: off.
  float repetition_penalty = 1.0F;
  // Taken off the logit for each time the token was seen lately. 0: off.
  float frequency_penalty = 0.0F;
  // Taken off the logit once when the token was seen lately. 0: off.
  float presence_penalty = 0.0F;
  // How many of the last accepted tokens count as lately. 0: none, -1: all.
  int penalty_last_n = 64;

  // DRY ("don't repeat yourself"): a token that would lengthen a repetition of `length` tokens loses
  // multiplier * base ^ (length - allowed_length), when length >= allowed_length. 0: off.
  float dry_multiplier = 0.0F;
  float dry_base = 1.75F;
  int dry_allowed_length = 2;
  // How many of the last tokens are searched for repetitions. 0: none, -1: all.
  int dry_penalty_last_n = -1;
  // Texts across which no repetition is counted.
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  // Holds the surprise of the text near mirostat_tau bits a token instead of the cuts above (Basu et al., "Mirostat",
  // 2021). 0: off; 1: the paper's, 2: without its estimate of the distribution's shape.
  int mirostat = 0;
  float mirostat_tau = 5.0F;
  float mirostat_eta = 0.1F;  // how fast it learns

  // Added to the logits of tokens; minus infinity forbids one.
  std::map<std::int32_t, float> logit_bias;
  // Texts that the generated text never contains, however it is cut into tokens.
  std::vector<std::string> bad_words;
  // The same as runs of tokens.
  std::vector<std::vector<std::int32_t>> bad_token_sequences;
  // The tokens that end an answer never come.
  bool ignore_eos = false;
  // They do not come before this many tokens were generated.
  std::int64_t min_tokens = 0;

  // The stages that run, in this order, by the names of stages.def (llama.cpp's other spellings are known too): what
  // is not named does not run. Absent: the usual order. Rules (bias, bad words, ends) always come first; temperature 0
  // is greedy even when temperature is not named.
  std::optional<std::vector<std::string>> samplers;

  // The same seed and the same logits give the same tokens on every machine. Absent: a fresh one a Sampler.
  std::optional<std::uint64_t> seed;

  bool greedy() const { return temperature <= 0.0F && dynatemp_range <= 0.0F; }
  // Whether something here is about text, so that a Sampler needs the vocabulary.
  bool needs_vocabulary() const { return !bad_words.empty() || ignore_eos || min_tokens > 0; }

  // kInvalidArgument naming the field, its value and what it may be. `vocab_size` bounds token ids; 0: unknown.
  Status validate(std::size_t vocab_size = 0) const;
};

// The names that SamplingParams::samplers may hold, in the usual order.
std::vector<std::string> sampler_names();
// The name of stages.def that `name` stands for, in any of its spellings; nullopt for none.
std::optional<std::string_view> canonical_sampler_name(std::string_view name);

}  // namespace mlxr
