#include "core/runtime/loaded_model.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/backend/reference/reference_backend.h"
#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/json_file.h"
#include "core/io/open_weights.h"
#include "core/kernels/cpu/cpu_backend.h"
#include "core/models/architecture.h"
#include "core/runtime/kv/single_sequence_kv.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr {
namespace {

constexpr std::int64_t kBlockTokens = 32;

bool has_quantized_weights(const WeightSource& source) {
  const auto tensors = source.tensors();
  return std::any_of(tensors.begin(), tensors.end(), [](const WeightTensor& t) { return is_quantized(t.type); });
}

Result<KvType> kv_type(const std::string& name, const WeightSource& source) {
  if (name == "auto") return has_quantized_weights(source) ? KvType::kF16 : KvType::kF32;
  if (const auto type = kv_type_by_name(name)) return *type;
  return invalid_argument(fmt::format("KV type \"{}\" is not one of auto, {}", name, kv_type_names()));
}

SamplingDefaults gguf_sampling(const Metadata& metadata) {
  return {.temperature = metadata.get_float("general.sampling.temp"),
          .top_p = metadata.get_float("general.sampling.top_p"),
          .min_p = metadata.get_float("general.sampling.min_p"),
          .repetition_penalty = metadata.get_float("general.sampling.penalty_repeat"),
          .top_k = metadata.get_int("general.sampling.top_k")};
}

Status read_number(const nlohmann::json& config, const char* field, const std::string& path,
                   std::optional<float>& out) {
  if (json_find(config, field) == nullptr) return {};
  MLXR_ASSIGN_OR_RETURN(const double value, json_float(config, field, path));
  out = static_cast<float>(value);
  return {};
}

Result<SamplingDefaults> folder_sampling(const HfFolder& folder) {
  const nlohmann::json& config = folder.generation_config();
  const std::string path = folder.file_path("generation_config.json");
  SamplingDefaults defaults;
  MLXR_RETURN_IF_ERROR(read_number(config, "temperature", path, defaults.temperature));
  MLXR_RETURN_IF_ERROR(read_number(config, "top_p", path, defaults.top_p));
  MLXR_RETURN_IF_ERROR(read_number(config, "min_p", path, defaults.min_p));
  MLXR_RETURN_IF_ERROR(read_number(config, "repetition_penalty", path, defaults.repetition_penalty));
  if (json_find(config, "top_k") != nullptr) {
    MLXR_ASSIGN_OR_RETURN(defaults.top_k, json_int(config, "top_k", path));
  }
  return defaults;
}

}  // namespace

LoadedModel::~LoadedModel() = default;

Result<std::unique_ptr<LoadedModel>> LoadedModel::open(const std::string& path, const ModelOptions& options) {
  std::unique_ptr<LoadedModel> loaded(new LoadedModel);
  loaded->path_ = path;
  MLXR_ASSIGN_OR_RETURN(loaded->source_, open_weights(path));
  MLXR_RETURN_IF_ERROR(loaded->open_backend(options));
  Result<LoadedWeights> weights = load_model(*loaded->source_, loaded->backend());
  if (!weights.ok()) return weights.status().with_context(path);
  loaded->model_ = std::move(weights->model);
  loaded->warnings_ = std::move(weights->warnings);
  MLXR_ASSIGN_OR_RETURN(const std::int64_t context, loaded->context_for(options.context));
  if (context > loaded->model_->config().context_length) {
    loaded->warnings_.push_back(fmt::format("the context of {} tokens is longer than the {} of the model's training",
                                            context, loaded->model_->config().context_length));
  }
  if (options.own_cache) MLXR_RETURN_IF_ERROR(loaded->open_cache(options, context));
  if (options.tokenizer) {
    MLXR_ASSIGN_OR_RETURN(loaded->tokenizer_, load_tokenizer(path));
    MLXR_RETURN_IF_ERROR(loaded->read_side_files());
  }
  return loaded;
}

Status LoadedModel::open_backend(const ModelOptions& options) {
  shared_backend_ = options.shared_backend;
  if (shared_backend_ == nullptr) MLXR_RETURN_IF_ERROR(make_backend(options));
  if (options.decorate) decorator_ = options.decorate(backend());
  return {};
}

Status LoadedModel::make_backend(const ModelOptions& options) {
  if (options.backend == "reference") {
    backend_ = make_reference_backend();
    return {};
  }
  if (options.backend != "cpu") {
    return invalid_argument(fmt::format("backend \"{}\" is not one of cpu, reference", options.backend));
  }
  MLXR_ASSIGN_OR_RETURN(backend_, make_cpu_backend({.num_threads = options.num_threads}));
  return {};
}

Result<std::int64_t> LoadedModel::context_for(std::int64_t requested) const {
  if (requested < 0) return invalid_argument(fmt::format("a context of {} tokens makes no sense", requested));
  return requested > 0 ? requested : std::min(model_->config().context_length, kDefaultMaxContext);
}

Result<KvType> LoadedModel::kv_type_for(const std::string& name) const {
  return kv_type(name, *source_);
}

Status LoadedModel::open_cache(const ModelOptions& options, std::int64_t context) {
  MLXR_ASSIGN_OR_RETURN(const KvType type, kv_type_for(options.kv_type));
  const std::int64_t num_blocks = (context + kBlockTokens - 1) / kBlockTokens;
  MLXR_ASSIGN_OR_RETURN(
      storage_,
      backend().make_kv_storage(
          {.layers = model_->kv_layers(), .num_blocks = {num_blocks}, .block_tokens = kBlockTokens, .type = type}));
  cache_ = std::make_unique<SingleSequenceKv>(num_blocks, kBlockTokens);
  runner_ = std::make_unique<StepRunner>(*model_, backend(), *cache_, *storage_);
  runner_->watch(*source_);
  return {};
}

Status LoadedModel::read_side_files() {
  if (const auto* folder = dynamic_cast<const HfFolder*>(source_.get())) {
    MLXR_ASSIGN_OR_RETURN(sampling_defaults_, folder_sampling(*folder));
  } else if (const auto* file = dynamic_cast<const GgufFile*>(source_.get())) {
    sampling_defaults_ = gguf_sampling(file->metadata());
  }
  Result<ChatPrompt> prompt = ChatPrompt::make(*source_, *tokenizer_);
  if (prompt.ok()) {
    chat_prompt_ = std::move(prompt).value();
  } else if (prompt.status().code() != StatusCode::kNotFound) {
    warnings_.push_back("the chat template cannot be used: " + prompt.status().message());
  }
  return {};
}

std::size_t LoadedModel::weight_bytes() const {
  std::size_t total = 0;
  for (const WeightTensor& tensor : source_->tensors())
    total += tensor.bytes.size();
  return total;
}

}  // namespace mlxr
