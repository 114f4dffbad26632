#include "daemon/service/sampling_merge.h"

#include <fmt/core.h>

namespace mlxr {

void SamplingOverrides::fill_from(const SamplingOverrides& lower) {
#define MLXR_SAMPLING_FIELD(type, name) \
  if (!(name)) (name) = lower.name;
#include "daemon/service/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  logit_bias.insert(lower.logit_bias.begin(), lower.logit_bias.end());
  logit_bias_texts.insert(lower.logit_bias_texts.begin(), lower.logit_bias_texts.end());
  if (bad_words.empty()) bad_words = lower.bad_words;
  ignore_eos = ignore_eos || lower.ignore_eos;
  if (min_tokens == 0) min_tokens = lower.min_tokens;
}

SamplingOverrides overrides_of(const SamplingDefaults& authors) {
  SamplingOverrides overrides;
  overrides.temperature = authors.temperature;
  overrides.top_p = authors.top_p;
  overrides.min_p = authors.min_p;
  overrides.repetition_penalty = authors.repetition_penalty;
  if (authors.top_k) overrides.top_k = static_cast<int>(*authors.top_k);
  return overrides;
}

Result<SamplingParams> sampling_params(const SamplingOverrides& merged, const Tokenizer& tokenizer) {
  SamplingParams params;
#define MLXR_SAMPLING_FIELD(type, name) \
  if (merged.name) params.name = *merged.name;
#include "daemon/service/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  params.logit_bias = merged.logit_bias;
  for (const auto& [text, bias] : merged.logit_bias_texts) {
    const std::vector<TokenId> tokens = tokenizer.encode(text);
    if (tokens.empty()) return invalid_argument(fmt::format("logit_bias: the text \"{}\" has no tokens", text));
    for (const TokenId token : tokens)
      params.logit_bias.emplace(token, bias);
  }
  params.bad_words = merged.bad_words;
  params.ignore_eos = merged.ignore_eos;
  params.min_tokens = merged.min_tokens;
  return params;
}

}  // namespace mlxr
