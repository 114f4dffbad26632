#include <algorithm>
#include <iterator>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/models/config_reader.h"

namespace mlxr {
namespace {

using nlohmann::json;

struct ActivationName {
  const char* name;
  Activation activation;
};
constexpr ActivationName kActivations[] = {
    {"silu", Activation::kSilu},         {"swish", Activation::kSilu},
    {"gelu", Activation::kGelu},         {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_new", Activation::kGeluTanh}, {"relu", Activation::kRelu}};

Status read_float(const json& object, const char* field, float& out, const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const double value, json_float_or(object, field, static_cast<double>(out), path));
  out = static_cast<float>(value);
  return {};
}

Status read_yarn(const json& scaling, RopeConfig& rope, const std::string& path) {
  rope.scaling = RopeScaling::kYarn;
  MLXR_RETURN_IF_ERROR(read_float(scaling, "beta_fast", rope.beta_fast, path));
  MLXR_RETURN_IF_ERROR(read_float(scaling, "beta_slow", rope.beta_slow, path));
  MLXR_ASSIGN_OR_RETURN(rope.truncate, json_bool_or(scaling, "truncate", true, path));
  if (json_find(scaling, "attention_factor") != nullptr) {
    MLXR_ASSIGN_OR_RETURN(const double factor, json_float(scaling, "attention_factor", path));
    rope.attention_factor = static_cast<float>(factor);
  }
  return json_find(scaling, "mscale") == nullptr
             ? Status{}
             : unsupported(path + ": rope scaling with \"mscale\" is not supported for this architecture");
}

// `scaling` is "rope_parameters" (transformers 5) or "rope_scaling" (before).
Status read_scaling(const json& scaling, ModelConfig& config, const std::string& path) {
  RopeConfig& rope = config.rope;
  MLXR_ASSIGN_OR_RETURN(std::string type, json_string_or(scaling, "type", "default", path));
  MLXR_ASSIGN_OR_RETURN(type, json_string_or(scaling, "rope_type", type, path));
  if (type == "default") return {};
  MLXR_RETURN_IF_ERROR(read_float(scaling, "factor", rope.factor, path));
  MLXR_ASSIGN_OR_RETURN(rope.original_context,
                        json_int_or(scaling, "original_max_position_embeddings", config.context_length, path));
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "dynamic") {
    rope.scaling = RopeScaling::kDynamic;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    MLXR_RETURN_IF_ERROR(read_float(scaling, "low_freq_factor", rope.low_freq_factor, path));
    MLXR_RETURN_IF_ERROR(read_float(scaling, "high_freq_factor", rope.high_freq_factor, path));
  } else if (type == "yarn") {
    return read_yarn(scaling, rope, path);
  } else {
    return unsupported(fmt::format("{}: rope type \"{}\" is not supported for {}", path, type, config.architecture));
  }
  return {};
}

Status read_rope(const json& source, ModelConfig& config, const std::string& path) {
  config.rope.style = RopeStyle::kNeox;
  config.rope.dim = config.head_dim;
  MLXR_RETURN_IF_ERROR(read_float(source, "rope_theta", config.rope.theta, path));
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    const json* scaling = json_find(source, field);
    if (scaling == nullptr) continue;
    if (!scaling->is_object()) return invalid_argument(fmt::format("{}: \"{}\" is not an object", path, field));
    const std::string where = fmt::format("{}: {}", path, field);
    MLXR_RETURN_IF_ERROR(read_float(*scaling, "rope_theta", config.rope.theta, where));
    MLXR_RETURN_IF_ERROR(read_scaling(*scaling, config, where));
  }
  return {};
}

Status read_window(const json& source, ModelConfig& config, const std::string& path) {
  if (json_find(source, "model_type") == nullptr || *json_find(source, "model_type") != "mistral") return {};
  // MistralConfig's default is a window; null switches it off.
  const std::int64_t absent = source.contains("sliding_window") ? 0 : 4096;
  MLXR_ASSIGN_OR_RETURN(config.sliding_window, json_int_or(source, "sliding_window", absent, path));
  return {};
}

// The first name of the activation in the table.
std::string activation_name(Activation activation) {
  for (const ActivationName& row : kActivations) {
    if (row.activation == activation) return row.name;
  }
  return "silu";
}

json scaling_json(const RopeConfig& rope) {
  switch (rope.scaling) {
    case RopeScaling::kNone:
      return nullptr;
    case RopeScaling::kLinear:
      return {{"rope_type", "linear"}, {"factor", rope.factor}};
    case RopeScaling::kDynamic:
      return {{"rope_type", "dynamic"}, {"factor", rope.factor}};
    case RopeScaling::kLlama3:
      return {{"rope_type", "llama3"},
              {"factor", rope.factor},
              {"low_freq_factor", rope.low_freq_factor},
              {"high_freq_factor", rope.high_freq_factor},
              {"original_max_position_embeddings", rope.original_context}};
    case RopeScaling::kYarn:
      json yarn = {{"rope_type", "yarn"},
                   {"factor", rope.factor},
                   {"original_max_position_embeddings", rope.original_context},
                   {"beta_fast", rope.beta_fast},
                   {"beta_slow", rope.beta_slow}};
      if (rope.attention_factor) yarn["attention_factor"] = *rope.attention_factor;
      if (!rope.truncate) yarn["truncate"] = false;
      return yarn;
  }
  return nullptr;
}

}  // namespace

Result<ModelConfig> read_hugging_face_config(const json& source, const std::string& architecture,
                                             const std::string& folder) {
  const std::string path = folder + "/config.json";
  ModelConfig config;
  config.architecture = architecture;
  config.naming = Naming::kHuggingFace;
  if (json_find(source, "quantization_config") != nullptr || json_find(source, "quantization") != nullptr) {
    return unsupported(path + ": quantised Hugging Face checkpoints are not supported: give the bf16 or a GGUF file");
  }
  MLXR_ASSIGN_OR_RETURN(config.vocab_size, json_int(source, "vocab_size", path));
  MLXR_ASSIGN_OR_RETURN(config.hidden_size, json_int(source, "hidden_size", path));
  MLXR_ASSIGN_OR_RETURN(config.num_layers, json_int(source, "num_hidden_layers", path));
  MLXR_ASSIGN_OR_RETURN(config.num_heads, json_int(source, "num_attention_heads", path));
  MLXR_ASSIGN_OR_RETURN(config.num_kv_heads, json_int_or(source, "num_key_value_heads", config.num_heads, path));
  MLXR_ASSIGN_OR_RETURN(config.ffn_size, json_int(source, "intermediate_size", path));
  MLXR_ASSIGN_OR_RETURN(config.context_length, json_int(source, "max_position_embeddings", path));
  const bool divides = config.num_heads > 0 && config.hidden_size % config.num_heads == 0;
  MLXR_ASSIGN_OR_RETURN(config.head_dim,
                        json_int_or(source, "head_dim", divides ? config.hidden_size / config.num_heads : 0, path));
  config.norm_eps = 1e-6F;
  MLXR_RETURN_IF_ERROR(read_float(source, "rms_norm_eps", config.norm_eps, path));
  MLXR_ASSIGN_OR_RETURN(config.tied_embeddings, json_bool_or(source, "tie_word_embeddings", false, path));
  MLXR_ASSIGN_OR_RETURN(const std::string activation, json_string_or(source, "hidden_act", "silu", path));
  const auto* known = std::find_if(std::begin(kActivations), std::end(kActivations),
                                   [&](const ActivationName& row) { return activation == row.name; });
  if (known == std::end(kActivations)) {
    return unsupported(fmt::format("{}: hidden_act \"{}\" is not supported", path, activation));
  }
  config.activation = known->activation;
  MLXR_RETURN_IF_ERROR(read_window(source, config, path));
  MLXR_RETURN_IF_ERROR(read_rope(source, config, path));
  return config;
}

json write_hugging_face_config(const ModelConfig& config) {
  json out = {{"vocab_size", config.vocab_size},
              {"hidden_size", config.hidden_size},
              {"num_hidden_layers", config.num_layers},
              {"num_attention_heads", config.num_heads},
              {"num_key_value_heads", config.num_kv_heads},
              {"head_dim", config.head_dim},
              {"intermediate_size", config.ffn_size},
              {"max_position_embeddings", config.context_length},
              {"rms_norm_eps", config.norm_eps},
              {"tie_word_embeddings", config.tied_embeddings},
              {"hidden_act", activation_name(config.activation)},
              {"rope_theta", config.rope.theta}};
  const bool windowed = config.sliding_window > 0;
  out["architectures"] = json::array({windowed ? "MistralForCausalLM" : "LlamaForCausalLM"});
  out["model_type"] = windowed ? "mistral" : "llama";
  if (windowed) out["sliding_window"] = config.sliding_window;
  const json scaling = scaling_json(config.rope);
  if (!scaling.is_null()) out["rope_scaling"] = scaling;
  return out;
}

}  // namespace mlxr
