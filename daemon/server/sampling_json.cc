#include "daemon/server/sampling_json.h"

#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include <fmt/core.h>

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxStops = 64;
constexpr std::size_t kMaxBadWords = 1024;
constexpr std::size_t kMaxBiases = 100'000;
constexpr double kMost = 1e6;

struct FloatField {
  const char* name;
  std::optional<float> SamplingOverrides::*member;
  double min;
  double max;
};

struct IntField {
  const char* name;
  std::optional<int> SamplingOverrides::*member;
  std::int64_t min;
  std::int64_t max;
};

constexpr std::int64_t kIntMax = std::numeric_limits<int>::max();

// A row a name; two names for one thing are two rows.
constexpr FloatField kFloats[] = {
    {"temperature", &SamplingOverrides::temperature, 0.0, 100.0},
    {"top_p", &SamplingOverrides::top_p, 0.0, 1.0},
    {"min_p", &SamplingOverrides::min_p, 0.0, 1.0},
    {"typical_p", &SamplingOverrides::typical_p, 0.0, 1.0},
    {"top_n_sigma", &SamplingOverrides::top_n_sigma, -kMost, kMost},
    {"frequency_penalty", &SamplingOverrides::frequency_penalty, -100.0, 100.0},
    {"presence_penalty", &SamplingOverrides::presence_penalty, -100.0, 100.0},
    {"repetition_penalty", &SamplingOverrides::repetition_penalty, 0.0, 100.0},
    {"repeat_penalty", &SamplingOverrides::repetition_penalty, 0.0, 100.0},
    {"dynatemp_range", &SamplingOverrides::dynatemp_range, 0.0, 100.0},
    {"dynatemp_exponent", &SamplingOverrides::dynatemp_exponent, 0.0, 100.0},
    {"xtc_probability", &SamplingOverrides::xtc_probability, 0.0, 1.0},
    {"xtc_threshold", &SamplingOverrides::xtc_threshold, 0.0, 1.0},
    {"dry_multiplier", &SamplingOverrides::dry_multiplier, 0.0, kMost},
    {"dry_base", &SamplingOverrides::dry_base, 0.0, kMost},
    {"mirostat_tau", &SamplingOverrides::mirostat_tau, 0.0, kMost},
    {"mirostat_eta", &SamplingOverrides::mirostat_eta, 0.0, kMost},
};

constexpr IntField kInts[] = {
    {"top_k", &SamplingOverrides::top_k, -1, kIntMax},
    {"repeat_last_n", &SamplingOverrides::penalty_last_n, -1, kIntMax},
    {"dry_allowed_length", &SamplingOverrides::dry_allowed_length, 0, kIntMax},
    {"dry_penalty_last_n", &SamplingOverrides::dry_penalty_last_n, -1, kIntMax},
    {"mirostat", &SamplingOverrides::mirostat, 0, 2},
};

std::optional<std::int32_t> token_of(std::string_view text) {
  std::int32_t token = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), token);
  if (error != std::errc() || end != text.data() + text.size() || token < 0) return std::nullopt;
  return token;
}

std::optional<float> bias_of(const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return -std::numeric_limits<float>::infinity();
  if (!value.is_number()) return std::nullopt;
  return static_cast<float>(value.get<double>());
}

void read_bias_pairs(JsonFields& fields, const Json& pairs, SamplingOverrides& sampling) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Json& pair = pairs[i];
    const std::optional<float> bias = pair.is_array() && pair.size() == 2 ? bias_of(pair[1]) : std::nullopt;
    const std::optional<std::int64_t> token = bias.has_value() ? whole_number(pair[0]) : std::nullopt;
    if (token.has_value() && *token >= 0 && *token <= kIntMax) {
      sampling.logit_bias[static_cast<std::int32_t>(*token)] = *bias;
    } else if (bias.has_value() && pair[0].is_string()) {
      sampling.logit_bias_texts[pair[0].get<std::string>()] = *bias;
    } else {
      fields.invalid(fmt::format("logit_bias[{}]", i), "must be [token id or text, bias or false]");
      return;
    }
  }
}

}  // namespace

void read_sampling(JsonFields& fields, SamplingOverrides& sampling) {
  for (const FloatField& field : kFloats) {
    if (const auto value = fields.number(field.name, {.min = field.min, .max = field.max})) {
      sampling.*field.member = static_cast<float>(*value);
    }
  }
  for (const IntField& field : kInts) {
    if (const auto value = fields.integer(field.name, {.min = field.min, .max = field.max})) {
      sampling.*field.member = static_cast<int>(*value);
    }
  }
  // vLLM writes -1 for all tokens, which is 0 here.
  if (sampling.top_k == -1) sampling.top_k = 0;
  if (auto breakers = fields.strings("dry_sequence_breakers", kMaxStops)) {
    sampling.dry_sequence_breakers = std::move(breakers);
  }
  if (const auto seed = fields.integer("seed")) {
    if (*seed >= 0) sampling.seed = static_cast<std::uint64_t>(*seed);
  }
  if (auto samplers = fields.strings("samplers", kMaxStops)) sampling.samplers = std::move(samplers);
}

void read_logit_bias(JsonFields& fields, SamplingOverrides& sampling) {
  const Json* value = fields.any("logit_bias");
  if (value == nullptr) return;
  if ((!value->is_object() && !value->is_array()) || value->size() > kMaxBiases) {
    fields.invalid("logit_bias",
                   fmt::format("must be an object of token ids and biases; it is {}", describe_json(*value)));
    return;
  }
  if (value->is_array()) {
    read_bias_pairs(fields, *value, sampling);
    return;
  }
  for (const auto& [key, entry] : value->get_ref<const Json::object_t&>()) {
    const std::optional<float> bias = bias_of(entry);
    if (!bias.has_value()) {
      fields.invalid("logit_bias",
                     fmt::format("has {} for {}; a bias is a number", describe_json(entry), json_quoted(key)));
      return;
    }
    if (const std::optional<std::int32_t> token = token_of(key)) {
      sampling.logit_bias[*token] = *bias;
    } else {
      sampling.logit_bias_texts[key] = *bias;
    }
  }
}

void read_stops(JsonFields& fields, GenerateCall& call) {
  if (auto stop = fields.strings("stop", kMaxStops)) {
    for (std::string& text : *stop) {
      if (text.empty()) {
        fields.notes().warn("an empty stop string was ignored");
      } else {
        call.stop.push_back(std::move(text));
      }
    }
  }
  if (auto tokens = fields.tokens("stop_token_ids", kMaxBiases)) call.stop_tokens = std::move(*tokens);
  call.sampling.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  call.sampling.min_tokens = fields.integer("min_tokens", {.min = 0}).value_or(0);
  if (auto words = fields.strings("bad_words", kMaxBadWords)) call.sampling.bad_words = std::move(*words);
}

}  // namespace mlxr::server
