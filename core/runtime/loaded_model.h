#pragma once
// LoadedModel: a model ready to answer, with all that belongs to it: mapped weights, backend, tokenizer, chat template,
// KV cache for one sequence. The thread that calls runner() is the engine thread of its backend.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/models/model.h"
#include "core/runtime/chat_prompt.h"
#include "core/runtime/kv/kv_cache.h"
#include "core/runtime/step_runner.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

class WeightSource;

struct ModelOptions {
  std::string backend = "cpu";  // "cpu" or "reference"
  int num_threads = 0;          // 0: the machine's physical cores that the process may use
  std::int64_t context = 0;     // tokens; 0: the model's own, at most kDefaultMaxContext
  // A name of kv_type.def; "auto": f16 for quantised weights, and f32 where the weights are exact enough to show the
  // difference.
  std::string kv_type = "auto";
  // False: no KV memory of its own, for an engine that brings its own; cache() and runner() must not be called then.
  bool own_cache = true;
  bool tokenizer = true;  // false: ids only, for files whose tokenizer is missing or not supported
  // A backend to use instead of one of its own, which must outlive the model: two models of one engine share threads
  // and scratch memory.
  Backend* shared_backend = nullptr;
  // Puts another backend in front of the chosen one, which outlives it: to record what passes, say.
  std::function<std::unique_ptr<Backend>(Backend& inner)> decorate = {};
};

inline constexpr std::int64_t kDefaultMaxContext = 8192;

// Sampling that the model's authors recommend: generation_config.json, or general.sampling.* of a GGUF file.
struct SamplingDefaults {
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int64_t> top_k;
};

class LoadedModel {
 public:
  // `path` as resolve_model gives it.
  static Result<std::unique_ptr<LoadedModel>> open(const std::string& path, const ModelOptions& options);
  ~LoadedModel();

  const std::string& path() const { return path_; }
  const Model& model() const { return *model_; }
  Backend& backend() { return decorator_ ? *decorator_ : shared_backend_ != nullptr ? *shared_backend_ : *backend_; }
  const WeightSource& source() const { return *source_; }
  // nullptr when ModelOptions::tokenizer is false.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  // nullptr when the file has no chat template, or one that cannot be used (then warnings() says so).
  const ChatPrompt* chat_prompt() const { return chat_prompt_ ? &*chat_prompt_ : nullptr; }
  const SamplingDefaults& sampling_defaults() const { return sampling_defaults_; }

  // The length that a sequence may have: `requested`, or for 0 the model's own, at most kDefaultMaxContext.
  Result<std::int64_t> context_for(std::int64_t requested) const;
  // ModelOptions::kv_type as a type.
  Result<KvType> kv_type_for(const std::string& name) const;

  KvCache& cache() { return *cache_; }
  StepRunner& runner() { return *runner_; }
  std::int64_t context() const { return cache_->max_length(); }
  const KvLayout& kv_layout() const { return storage_->layout(); }
  // Bytes of the weights as the file stores them.
  std::size_t weight_bytes() const;
  // What the file has and this build does not use, a line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  LoadedModel() = default;
  Status open_backend(const ModelOptions& options);
  Status make_backend(const ModelOptions& options);
  Status open_cache(const ModelOptions& options, std::int64_t context);
  Status read_side_files();

  std::string path_;
  std::unique_ptr<WeightSource> source_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Backend> decorator_;
  Backend* shared_backend_ = nullptr;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatPrompt> chat_prompt_;
  SamplingDefaults sampling_defaults_;
  std::unique_ptr<KvStorage> storage_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<StepRunner> runner_;
  std::vector<std::string> warnings_;
};

}  // namespace mlxr
