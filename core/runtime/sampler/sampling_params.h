#pragma once
// How the next token is chosen: what a request may set, with the defaults that llama.cpp made common.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "core/base/status.h"

namespace mlxr {

struct SamplingParams {
  // Divides the logits that are left after the cuts below. 0: always the most likely token.
  float temperature = 0.8F;
  // The most likely tokens that stay. 0: all.
  int top_k = 40;
  // The fewest most likely tokens that together have this probability stay. 1: all.
  float top_p = 0.95F;
  // Tokens at least this fraction as likely as the most likely one stay. 0: all.
  float min_p = 0.05F;
  // The tokens whose information is nearest to the average that together have this probability stay (Meister et al.,
  // "Locally Typical Sampling", 2022). 1: all.
  float typical_p = 1.0F;

  // Tokens seen lately: the logit is divided by this when positive and multiplied when negative (Keskar et al., "CTRL",
  // 2019). 1: off.
  float repetition_penalty = 1.0F;
  // Taken off the logit for each time the token was seen lately. 0: off.
  float frequency_penalty = 0.0F;
  // Taken off the logit once when the token was seen lately. 0: off.
  float presence_penalty = 0.0F;
  // How many of the last accepted tokens count as lately. 0: none, -1: all.
  int penalty_last_n = 64;

  // Added to the logits of tokens; minus infinity forbids one.
  std::map<std::int32_t, float> logit_bias;

  // The same seed and the same logits give the same tokens on every machine. Absent: a fresh one a Sampler.
  std::optional<std::uint64_t> seed;

  // kInvalidArgument naming the field, its value and what it may be. `vocab_size` bounds the ids of logit_bias; 0:
  // unknown.
  Status validate(std::size_t vocab_size = 0) const;
};

}  // namespace mlxr
