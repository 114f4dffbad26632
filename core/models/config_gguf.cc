#include <cmath>

#include <fmt/core.h>

#include "core/models/config_reader.h"

namespace mlxr {
namespace {

// A scaling that GGUF has no name for: a llama.cpp that reads such a file computes without it, as its own converter
// does.
constexpr const char* kDynamicFactorKey = "mlxr.rope.dynamic_factor";

class Reader {
 public:
  Reader(const Metadata& metadata, std::string prefix) : metadata_(metadata), prefix_(std::move(prefix) + ".") {}

  std::string key(const char* name) const { return prefix_ + name; }

  Status require(const char* name, std::int64_t& out) const {
    MLXR_ASSIGN_OR_RETURN(out, metadata_.require_int(key(name)));
    return {};
  }
  std::int64_t integer(const char* name, std::int64_t fallback) const {
    return metadata_.get_int(key(name)).value_or(fallback);
  }
  float number(const char* name, float fallback) const { return metadata_.get_float(key(name)).value_or(fallback); }
  std::optional<float> number(const char* name) const { return metadata_.get_float(key(name)); }
  const Metadata& metadata() const { return metadata_; }

 private:
  const Metadata& metadata_;
  std::string prefix_;
};

float yarn_default_magnitude(float factor) {
  return factor <= 1.0F ? 1.0F : 0.1F * std::log(factor) + 1.0F;
}

Status read_rope(const Reader& reader, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.style = RopeStyle::kInterleaved;
  rope.dim = reader.integer("rope.dimension_count", config.head_dim);
  rope.theta = reader.number("rope.freq_base", 10000.0F);
  rope.original_context = reader.integer("rope.scaling.original_context_length", config.context_length);
  rope.factor = reader.number("rope.scaling.factor", reader.number("rope.scale_linear", 1.0F));
  if (const auto dynamic = reader.metadata().get_float(kDynamicFactorKey)) {
    rope.scaling = RopeScaling::kDynamic;
    rope.factor = *dynamic;
    return {};
  }
  const auto stored = reader.metadata().get_string(reader.key("rope.scaling.type"));
  const std::string_view type = stored.value_or(rope.factor == 1.0F ? "none" : "linear");
  if (type == "none") {
    rope.factor = 1.0F;
  } else if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.beta_fast = reader.number("rope.scaling.yarn_beta_fast", 32.0F);
    rope.beta_slow = reader.number("rope.scaling.yarn_beta_slow", 1.0F);
    const auto attn_factor = reader.number("rope.scaling.attn_factor");
    if (attn_factor) rope.attention_factor = *attn_factor * yarn_default_magnitude(rope.factor);
  } else {
    return unsupported(fmt::format("{}: rope.scaling.type \"{}\" is not supported for {}", reader.metadata().source(),
                                   type, config.architecture));
  }
  return {};
}

}  // namespace

Result<ModelConfig> read_gguf_config(const Metadata& metadata, const std::string& architecture) {
  const Reader reader(metadata, architecture);
  ModelConfig config;
  config.architecture = architecture;
  config.naming = Naming::kGguf;
  config.name = std::string(metadata.get_string("general.name").value_or(""));
  MLXR_RETURN_IF_ERROR(reader.require("embedding_length", config.hidden_size));
  MLXR_RETURN_IF_ERROR(reader.require("block_count", config.num_layers));
  MLXR_RETURN_IF_ERROR(reader.require("feed_forward_length", config.ffn_size));
  MLXR_RETURN_IF_ERROR(reader.require("attention.head_count", config.num_heads));
  MLXR_RETURN_IF_ERROR(reader.require("context_length", config.context_length));
  MLXR_ASSIGN_OR_RETURN(config.norm_eps, metadata.require_float(reader.key("attention.layer_norm_rms_epsilon")));
  config.num_kv_heads = reader.integer("attention.head_count_kv", config.num_heads);
  const bool divides = config.num_heads > 0 && config.hidden_size % config.num_heads == 0;
  config.head_dim = reader.integer("attention.key_length", divides ? config.hidden_size / config.num_heads : 0);
  if (reader.integer("attention.value_length", config.head_dim) != config.head_dim) {
    return unsupported(
        fmt::format("{}: {} differs from the key length", metadata.source(), reader.key("attention.value_length")));
  }
  config.sliding_window = reader.integer("attention.sliding_window", 0);
  MLXR_RETURN_IF_ERROR(read_rope(reader, config));
  return config;
}

void write_gguf_config(const ModelConfig& config, Metadata& metadata) {
  const std::string prefix = config.architecture + ".";
  const auto set_uint = [&](const char* name, std::int64_t value) {
    metadata.set(prefix + name, static_cast<std::uint32_t>(value));
  };
  const auto set_float = [&](const char* name, float value) { metadata.set(prefix + name, value); };
  set_uint("context_length", config.context_length);
  set_uint("embedding_length", config.hidden_size);
  set_uint("block_count", config.num_layers);
  set_uint("feed_forward_length", config.ffn_size);
  set_uint("vocab_size", config.vocab_size);
  set_uint("attention.head_count", config.num_heads);
  set_uint("attention.head_count_kv", config.num_kv_heads);
  set_uint("attention.key_length", config.head_dim);
  set_uint("attention.value_length", config.head_dim);
  set_float("attention.layer_norm_rms_epsilon", config.norm_eps);
  if (config.sliding_window > 0) set_uint("attention.sliding_window", config.sliding_window);

  const RopeConfig& rope = config.rope;
  set_uint("rope.dimension_count", rope.dim);
  set_float("rope.freq_base", rope.theta);
  if (rope.scaling == RopeScaling::kLinear || rope.scaling == RopeScaling::kYarn) {
    metadata.set_string(prefix + "rope.scaling.type", rope.scaling == RopeScaling::kLinear ? "linear" : "yarn");
    set_float("rope.scaling.factor", rope.factor);
  }
  if (rope.scaling == RopeScaling::kYarn) {
    set_uint("rope.scaling.original_context_length", rope.original_context);
    set_float("rope.scaling.yarn_beta_fast", rope.beta_fast);
    set_float("rope.scaling.yarn_beta_slow", rope.beta_slow);
    if (rope.attention_factor) {
      set_float("rope.scaling.attn_factor", *rope.attention_factor / yarn_default_magnitude(rope.factor));
    }
  }
  if (rope.scaling == RopeScaling::kDynamic) metadata.set(kDynamicFactorKey, rope.factor);
}

}  // namespace mlxr
