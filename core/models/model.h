#pragma once
// Model: an architecture with its weights in a backend. forward() is one step over a batch of tokens of any sequences.
// One engine thread calls it; it keeps no state between steps but the KV storage it is handed.

#include <memory>
#include <string>
#include <vector>

#include "core/graph/forward_context.h"
#include "core/graph/output_head.h"
#include "core/models/model_config.h"

namespace mlxr {

class Model {
 public:
  explicit Model(ModelConfig config) : config_(std::move(config)) {}
  virtual ~Model() = default;

  virtual StepOutput forward(const ForwardContext& step) const = 0;
  // Tokens that the layers of each KV group see, 0 for all: [groups of kv_layers()].
  virtual std::vector<std::int64_t> kv_windows() const { return {0}; }
  // What each layer keeps a token.
  virtual std::vector<KvLayerLayout> kv_layers() const = 0;

  const ModelConfig& config() const { return config_; }

 private:
  ModelConfig config_;
};

}  // namespace mlxr
