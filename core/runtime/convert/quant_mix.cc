#include "core/runtime/convert/quant_mix.h"

#include <algorithm>
#include <cctype>

#include <fmt/core.h>

namespace mlxr {
namespace {

using enum QuantType;

constexpr QuantMix kMixes[] = {
    {"F32", kF32, 0},      {"F16", kF16, 1},        {"BF16", kBF16, 32},     {"Q4_0", kQ4_0, 2},
    {"Q4_1", kQ4_1, 3},    {"Q5_0", kQ5_0, 8},      {"Q5_1", kQ5_1, 9},      {"Q8_0", kQ8_0, 7},
    {"Q2_K", kQ2_K, 10},   {"Q2_K_S", kQ2_K, 21},   {"Q3_K", kQ3_K, 12},     {"Q3_K_S", kQ3_K, 11},
    {"Q3_K_M", kQ3_K, 12}, {"Q3_K_L", kQ3_K, 13},   {"Q4_K", kQ4_K, 15},     {"Q4_K_S", kQ4_K, 14},
    {"Q4_K_M", kQ4_K, 15}, {"Q5_K", kQ5_K, 17},     {"Q5_K_S", kQ5_K, 16},   {"Q5_K_M", kQ5_K, 17},
    {"Q6_K", kQ6_K, 18},   {"IQ4_NL", kIQ4_NL, 25}, {"IQ4_XS", kIQ4_XS, 30}, {"MXFP4", kMXFP4, 38},
};

enum class Layers : std::uint8_t {
  kAll,
  kFirstTwo,
  kFirstFour,
  kFirstSixteenth,
  kFirstEighth,
  kFirstEighthUnweighted,  // the first eighth, when there is no importance matrix
  kFirstEighthWeighted,    // the first eighth, when there is one
  kMoreBits,               // the first and last eighth and every third between
  kGrouped,                // all, in models where four or more query heads share a KV head
};

struct Rule {
  const char* mix;
  const char* stem;
  Layers layers;
  QuantType type;
};

// For a tensor the first rule that applies wins. "Q3_K", "Q4_K" and "Q5_K" are other names of their _M mixes.
constexpr Rule kRules[] = {
    {"Q2_K", "attn_v", Layers::kGrouped, kQ4_K},
    {"Q2_K", "attn_v", Layers::kAll, kQ3_K},
    {"Q2_K", "ffn_down", Layers::kAll, kQ3_K},
    {"Q2_K", "attn_output", Layers::kAll, kQ3_K},
    {"Q2_K_S", "attn_v", Layers::kGrouped, kQ4_K},
    {"Q2_K_S", "ffn_down", Layers::kFirstEighth, kQ4_K},
    {"Q3_K_M", "attn_v", Layers::kFirstTwo, kQ5_K},
    {"Q3_K_M", "attn_v", Layers::kAll, kQ4_K},
    {"Q3_K_M", "ffn_down", Layers::kFirstSixteenth, kQ5_K},
    {"Q3_K_M", "ffn_down", Layers::kMoreBits, kQ4_K},
    {"Q3_K_M", "attn_output", Layers::kAll, kQ4_K},
    {"Q3_K_L", "attn_v", Layers::kAll, kQ5_K},
    {"Q3_K_L", "ffn_down", Layers::kAll, kQ5_K},
    {"Q3_K_L", "attn_output", Layers::kAll, kQ5_K},
    {"Q4_K_S", "attn_v", Layers::kFirstFour, kQ5_K},
    {"Q4_K_S", "ffn_down", Layers::kFirstEighth, kQ5_K},
    {"Q4_K_M", "attn_v", Layers::kMoreBits, kQ6_K},
    {"Q4_K_M", "ffn_down", Layers::kMoreBits, kQ6_K},
    {"Q5_K_M", "attn_v", Layers::kMoreBits, kQ6_K},
    {"Q5_K_M", "ffn_down", Layers::kMoreBits, kQ6_K},
    {"IQ4_NL", "attn_v", Layers::kGrouped, kQ5_K},
    {"IQ4_NL", "ffn_down", Layers::kFirstEighthUnweighted, kQ5_K},
    {"IQ4_XS", "attn_v", Layers::kGrouped, kQ5_K},
    {"IQ4_XS", "ffn_down", Layers::kFirstEighthUnweighted, kQ5_K},
    {"Q4_0", "ffn_down", Layers::kFirstEighthWeighted, kQ4_1},
    {"Q5_0", "ffn_down", Layers::kFirstEighthWeighted, kQ5_1},
};

struct Alias {
  const char* name;
  const char* mix;
};
constexpr Alias kAliases[] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};

struct Fallback {
  QuantType from;
  QuantType to;
};
constexpr Fallback kFallbacks[] = {{kQ2_K, kIQ4_NL}, {kQ3_K, kIQ4_NL}, {kIQ4_XS, kIQ4_NL},
                                   {kQ4_K, kQ5_0},   {kQ5_K, kQ5_1},   {kQ6_K, kQ8_0}};

bool applies(Layers layers, const TensorPlace& place) {
  const std::int64_t i = place.layer;
  const std::int64_t n = place.num_layers;
  switch (layers) {
    case Layers::kAll:
      return true;
    case Layers::kFirstTwo:
      return i < 2;
    case Layers::kFirstFour:
      return i < 4;
    case Layers::kFirstSixteenth:
      return i < n / 16;
    case Layers::kFirstEighth:
      return i < n / 8;
    case Layers::kFirstEighthUnweighted:
      return i < n / 8 && !place.has_importance;
    case Layers::kFirstEighthWeighted:
      return i < n / 8 && place.has_importance;
    case Layers::kMoreBits:
      return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case Layers::kGrouped:
      return place.heads_per_kv_head >= 4;
  }
  return false;
}

QuantType mixed_type(const QuantMix& mix, const TensorPlace& place) {
  const bool is_output = place.stem == "output" || (place.stem == "token_embd" && place.tied_output);
  if (is_output && is_quantized(mix.base) && mix.base != kQ8_0) return kQ6_K;
  std::string_view name = mix.name;
  for (const Alias& alias : kAliases) {
    if (name == alias.name) name = alias.mix;
  }
  for (const Rule& rule : kRules) {
    if (name == rule.mix && place.stem == rule.stem && applies(rule.layers, place)) return rule.type;
  }
  return mix.base;
}

}  // namespace

Result<QuantMix> find_quant_mix(std::string_view name) {
  for (const QuantMix& mix : kMixes) {
    const bool same = std::equal(name.begin(), name.end(), mix.name, mix.name + std::string_view(mix.name).size(),
                                 [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
    if (same) return mix;
  }
  return invalid_argument(fmt::format("type \"{}\" cannot be written: choose one of {}", name, quant_mix_names()));
}

std::string quant_mix_names() {
  std::string names;
  for (const QuantMix& mix : kMixes)
    names += (names.empty() ? "" : ", ") + std::string(mix.name);
  return names;
}

QuantType choose_type(const QuantMix& mix, const TensorPlace& place, bool pure) {
  QuantType type = pure ? mix.base : mixed_type(mix, place);
  const auto fits = [&] { return static_cast<std::size_t>(place.row_elements) % quant_info(type).block_elements == 0; };
  for (const Fallback& fallback : kFallbacks) {
    if (!fits() && type == fallback.from) type = fallback.to;
  }
  return fits() ? type : kF16;
}

}  // namespace mlxr
