#include "core/runtime/convert/model_plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/core.h>

namespace mlxr {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";
constexpr std::int64_t kMaxTrainedContext = 1 << 20;
constexpr std::string_view kRotaryBuffer = ".rotary_emb.inv_freq";

// Takes the stem apart that quant mixes speak of: "blk.{}.attn_v" -> "attn_v".
std::string_view short_stem(const TensorRow& row) {
  const std::string_view stem = row.gguf;
  const std::size_t dot = stem.rfind('.');
  return dot == std::string_view::npos ? stem : stem.substr(dot + 1);
}

class Planner {
 public:
  Planner(const WeightSource& source, const ModelPlanOptions& options, ModelPlan& plan)
      : source_(source), options_(options), plan_(plan) {
    architecture_ = find_architecture(plan.config.architecture);
  }

  Status run() {
    for (const WeightTensor& tensor : source_.tensors())
      MLXR_RETURN_IF_ERROR(add(tensor));
    plan_.config.tied_embeddings = is_tied();
    add_rope_factors();
    // GGUF files are laid out in the order of the layers, which a mapping that is read front to back likes best.
    std::stable_sort(plan_.tensors.begin(), plan_.tensors.end(),
                     [this](const PlannedTensor& a, const PlannedTensor& b) { return order(a.name) < order(b.name); });
    return {};
  }

 private:
  Status add(const WeightTensor& tensor) {
    if (tensor.name == kRopeFactors) {
      if (options_.target == Naming::kHuggingFace) return recover_llama3(tensor);
      plan_.tensors.push_back({kRopeFactors, tensor.type, tensor});
      return {};
    }
    if (tensor.name.ends_with(kRotaryBuffer)) {
      plan_.warnings.push_back(fmt::format("tensor \"{}\" is left out: it follows from the config", tensor.name));
      return {};
    }
    const auto match = match_tensor(architecture_->tensor_rows(), plan_.config.naming, tensor.name);
    if (!match) {
      return unsupported(fmt::format("tensor \"{}\" is not part of architecture {}", tensor.name, architecture_->name));
    }
    const bool is_tied_copy = short_stem(*match->row) == "output" && plan_.config.tied_embeddings;
    if (is_tied_copy) {
      plan_.warnings.push_back(
          fmt::format("tensor \"{}\" is left out: the config ties it to the embeddings", tensor.name));
      return {};
    }
    PlannedTensor planned;
    planned.source = tensor;
    planned.name = tensor_stem(*match->row, options_.target, match->layer) + "." + std::string(match->suffix);
    planned.type = type_of(tensor, *match);
    set_permutation(*match->row, planned);
    plan_.tensors.push_back(std::move(planned));
    return {};
  }

  QuantType type_of(const WeightTensor& tensor, const TensorMatch& match) const {
    // Norms and biases are few and count: GGUF keeps them in F32.
    if (tensor.shape.rank() < 2) return options_.target == Naming::kGguf ? QuantType::kF32 : tensor.type;
    if (!options_.mix) return tensor.type;
    const ModelConfig& config = plan_.config;
    return choose_type(*options_.mix,
                       {.stem = short_stem(*match.row),
                        .layer = match.layer,
                        .num_layers = config.num_layers,
                        .heads_per_kv_head = config.num_heads / config.num_kv_heads,
                        .tied_output = is_tied(),
                        .has_importance = options_.importance != nullptr,
                        .row_elements = tensor.shape.back()},
                       options_.pure);
  }

  bool is_tied() const {
    if (plan_.config.tied_embeddings) return true;
    for (const TensorRow& row : architecture_->tensor_rows()) {
      if (short_stem(row) == "output") {
        return source_.find(tensor_stem(row, plan_.config.naming, -1) + ".weight") == nullptr;
      }
    }
    return true;
  }

  void set_permutation(const TensorRow& row, PlannedTensor& planned) const {
    if (row.row_order == RowOrder::kSame || plan_.config.naming == options_.target) return;
    planned.permutation =
        options_.target == Naming::kGguf ? RowPermutation::kInterleave : RowPermutation::kDeinterleave;
    planned.head_rows = plan_.config.head_dim;
  }

  // GGUF has no parameters for the llama3 scaling: it stores what they come to.
  void add_rope_factors() {
    const RopeConfig& rope = plan_.config.rope;
    if (options_.target != Naming::kGguf || rope.scaling != RopeScaling::kLlama3) return;
    const std::vector<float> factors = rope_freq_factors(rope);
    auto owned = std::make_shared<std::vector<std::byte>>(factors.size() * sizeof(float));
    std::memcpy(owned->data(), factors.data(), owned->size());
    WeightTensor tensor{.name = kRopeFactors,
                        .type = QuantType::kF32,
                        .shape = {static_cast<std::int64_t>(factors.size())},
                        .bytes = *owned,
                        .keepalive = owned};
    plan_.tensors.push_back({kRopeFactors, QuantType::kF32, std::move(tensor)});
  }

  // The way back: parameters whose factors are those of the file. The known models differ in factor and context only.
  Status recover_llama3(const WeightTensor& tensor) {
    std::vector<float> factors(tensor.bytes.size() / sizeof(float));
    if (tensor.type != QuantType::kF32 || factors.empty()) {
      return unsupported(fmt::format("tensor \"{}\" is not F32", tensor.name));
    }
    std::memcpy(factors.data(), tensor.bytes.data(), tensor.bytes.size());
    RopeConfig& rope = plan_.config.rope;
    rope.scaling = RopeScaling::kLlama3;
    rope.factor = *std::max_element(factors.begin(), factors.end());
    for (std::int64_t context = 16; context <= kMaxTrainedContext; context *= 2) {
      rope.original_context = context;
      const std::vector<float> candidate = rope_freq_factors(rope);
      const bool same = std::equal(factors.begin(), factors.end(), candidate.begin(), candidate.end(),
                                   [](float a, float b) { return std::abs(a - b) <= 1e-4F * b; });
      if (same) return {};
    }
    return unsupported(fmt::format("tensor \"{}\" follows no scaling that a config.json can express", tensor.name));
  }

  // Layer, then row of the table; what stands before and after the layers keeps its side.
  std::pair<std::int64_t, std::ptrdiff_t> order(std::string_view name) const {
    const auto match = match_tensor(architecture_->tensor_rows(), options_.target, name);
    if (!match) return {-1, 0};
    return {match->layer, match->row - architecture_->tensor_rows().data()};
  }

  const WeightSource& source_;
  const ModelPlanOptions& options_;
  ModelPlan& plan_;
  const Architecture* architecture_;
};

}  // namespace

Result<ModelPlan> plan_model(const WeightSource& source, const ModelPlanOptions& options) {
  ModelPlan plan;
  MLXR_ASSIGN_OR_RETURN(plan.config, read_model_config(source));
  MLXR_RETURN_IF_ERROR(Planner(source, options, plan).run());
  return plan;
}

}  // namespace mlxr
