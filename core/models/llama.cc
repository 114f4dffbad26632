// Llama (Touvron et al. 2023, arXiv:2302.13971) and what shares its graph: Llama 2 and 3, TinyLlama, SmolLM2, Mistral
// with its sliding window. Pre-norm decoder: RMSNorm, grouped-query attention with rotary positions, SwiGLU.

#include "core/graph/mlp.h"
#include "core/models/architecture.h"

namespace mlxr::llama {
namespace {

constexpr TensorRow kRows[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.{}.attn_norm", "model.layers.{}.input_layernorm"},
    {"blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", RowOrder::kQueryHeads},
    {"blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", RowOrder::kKeyHeads},
    {"blk.{}.attn_v", "model.layers.{}.self_attn.v_proj"},
    {"blk.{}.attn_output", "model.layers.{}.self_attn.o_proj"},
    {"blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm"},
    {"blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj"},
    {"blk.{}.ffn_up", "model.layers.{}.mlp.up_proj"},
    {"blk.{}.ffn_down", "model.layers.{}.mlp.down_proj"},
};
enum Row : std::size_t {
  kEmbed,
  kOutputNorm,
  kOutput,
  kAttnNorm,
  kQuery,
  kKey,
  kValue,
  kAttnOutput,
  kFfnNorm,
  kGate,
  kUp,
  kDown,
};

struct Layer {
  Tensor attn_norm;  // [hidden]
  Weight query;      // [heads * head_dim, hidden]
  Weight key;        // [kv_heads * head_dim, hidden]
  Weight value;      // [kv_heads * head_dim, hidden]
  Weight output;     // [hidden, heads * head_dim]
  std::array<Tensor, 3> qkv_bias;
  Tensor output_bias;
  Tensor ffn_norm;  // [hidden]
  GatedMlp mlp;
};

class Llama : public Model {
 public:
  Llama(ModelConfig config, Rope rope) : Model(std::move(config)), rope_(std::move(rope)) {}

  StepOutput forward(const ForwardContext& step) const override {
    const Ops& ops = step.ops;
    const float eps = config().norm_eps;
    const Tensor angles = rope_.table(step);
    Tensor h = ops.embed(step.tokens, embed_);
    Tensor x = ops.rms_norm(h, layers_[0].attn_norm, eps);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      x = attend(step, layer, static_cast<std::int64_t>(i), x, angles);
      SumAndNorm after_attention = ops.add_rms_norm(h, x, layer.ffn_norm, eps);
      x = gated_mlp(ops, after_attention.norm, layer.mlp);
      if (i + 1 == layers_.size()) {
        h = ops.add(after_attention.sum, x);
      } else {
        SumAndNorm after_mlp = ops.add_rms_norm(after_attention.sum, x, layers_[i + 1].attn_norm, eps);
        h = std::move(after_mlp.sum);
        x = std::move(after_mlp.norm);
      }
    }
    return apply_output_head(step, h, {.norm = output_norm_, .output = output_, .eps = eps});
  }

  std::vector<std::int64_t> kv_windows() const override { return {config().sliding_window}; }
  std::vector<KvLayerLayout> kv_layers() const override {
    return {layers_.size(), KvLayerLayout{config().num_kv_heads, config().head_dim, config().head_dim}};
  }

  Status load(WeightLoader& loader) {
    const ModelConfig& c = config();
    MLXR_ASSIGN_OR_RETURN(embed_, loader.matrix(kRows[kEmbed], -1, {c.vocab_size, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(output_norm_, loader.vector(kRows[kOutputNorm], -1, c.hidden_size));
    // A file without an output matrix ties it to the embeddings; a GGUF file has no other way of saying so.
    const bool tied = c.tied_embeddings || (c.naming == Naming::kGguf && !loader.has(kRows[kOutput], -1));
    output_ = embed_;
    if (!tied) {
      MLXR_ASSIGN_OR_RETURN(output_, loader.matrix(kRows[kOutput], -1, {c.vocab_size, c.hidden_size}));
    }
    layers_.resize(static_cast<std::size_t>(c.num_layers));
    for (std::int64_t i = 0; i < c.num_layers; ++i) {
      MLXR_RETURN_IF_ERROR(load_layer(loader, i, layers_[static_cast<std::size_t>(i)]));
    }
    return {};
  }

 private:
  Tensor attend(const ForwardContext& step, const Layer& layer, std::int64_t index, const Tensor& x,
                const Tensor& angles) const {
    const Ops& ops = step.ops;
    const ModelConfig& c = config();
    const std::int64_t tokens = x.dim(0);
    auto [q, k, v] = ops.matmul3(x, {&layer.query, &layer.key, &layer.value}, layer.qkv_bias);
    q = ops.rope(q.reshape({tokens, c.num_heads, c.head_dim}), angles, c.rope.style);
    k = ops.rope(k.reshape({tokens, c.num_kv_heads, c.head_dim}), angles, c.rope.style);
    ops.kv_write(k, v.reshape({tokens, c.num_kv_heads, c.head_dim}), step.kv, index);
    const float scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim));
    const Tensor heads = ops.attention(q, step.kv, index, {.scale = scale, .window = c.sliding_window});
    return ops.matmul(heads.reshape({tokens, c.num_heads * c.head_dim}), layer.output, layer.output_bias);
  }

  Status load_layer(WeightLoader& loader, std::int64_t i, Layer& layer) {
    const ModelConfig& c = config();
    const std::int64_t q_rows = c.num_heads * c.head_dim;
    const std::int64_t kv_rows = c.num_kv_heads * c.head_dim;
    MLXR_ASSIGN_OR_RETURN(layer.attn_norm, loader.vector(kRows[kAttnNorm], i, c.hidden_size));
    MLXR_ASSIGN_OR_RETURN(layer.query, loader.matrix(kRows[kQuery], i, {q_rows, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(layer.key, loader.matrix(kRows[kKey], i, {kv_rows, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(layer.value, loader.matrix(kRows[kValue], i, {kv_rows, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(layer.output, loader.matrix(kRows[kAttnOutput], i, {c.hidden_size, q_rows}));
    MLXR_ASSIGN_OR_RETURN(layer.qkv_bias[0], loader.bias(kRows[kQuery], i, q_rows));
    MLXR_ASSIGN_OR_RETURN(layer.qkv_bias[1], loader.bias(kRows[kKey], i, kv_rows));
    MLXR_ASSIGN_OR_RETURN(layer.qkv_bias[2], loader.bias(kRows[kValue], i, kv_rows));
    MLXR_ASSIGN_OR_RETURN(layer.output_bias, loader.bias(kRows[kAttnOutput], i, c.hidden_size));
    MLXR_ASSIGN_OR_RETURN(layer.ffn_norm, loader.vector(kRows[kFfnNorm], i, c.hidden_size));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.gate, loader.matrix(kRows[kGate], i, {c.ffn_size, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.up, loader.matrix(kRows[kUp], i, {c.ffn_size, c.hidden_size}));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.down, loader.matrix(kRows[kDown], i, {c.hidden_size, c.ffn_size}));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.gate_bias, loader.bias(kRows[kGate], i, c.ffn_size));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.up_bias, loader.bias(kRows[kUp], i, c.ffn_size));
    MLXR_ASSIGN_OR_RETURN(layer.mlp.down_bias, loader.bias(kRows[kDown], i, c.hidden_size));
    layer.mlp.activation = c.activation;
    return {};
  }

  Rope rope_;
  Weight embed_;        // [vocab, hidden]
  Tensor output_norm_;  // [hidden]
  Weight output_;       // [vocab, hidden]
  std::vector<Layer> layers_;
};

}  // namespace

std::span<const TensorRow> tensor_rows() {
  return kRows;
}

Result<std::unique_ptr<Model>> load(ModelConfig config, WeightLoader& loader) {
  MLXR_ASSIGN_OR_RETURN(config.rope.freq_factors, loader.floats("rope_freqs.weight", config.rope.dim / 2));
  MLXR_ASSIGN_OR_RETURN(Rope rope, Rope::make(loader.backend(), config.rope));
  auto model = std::make_unique<Llama>(std::move(config), std::move(rope));
  MLXR_RETURN_IF_ERROR(model->load(loader));
  return std::unique_ptr<Model>(std::move(model));
}

}  // namespace mlxr::llama
