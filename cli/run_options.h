#pragma once
// The options of `mlxr run`, and the sampling that they and the model's own recommendation come to.

#include <optional>
#include <string>
#include <vector>

#include "cli/conversation.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

struct RunOptions {
  std::string model;
  std::vector<std::string> prompt;  // words of the prompt
  std::string system;
  std::string tools_file;
  std::optional<float> temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty, frequency_penalty;
  std::optional<int> top_k, repeat_last_n;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> logit_bias;  // "ID=VALUE"
  std::int64_t max_tokens = -1;
  std::vector<std::string> stop;
  bool raw = false;
  bool verbose = false;
  ModelOptions model_options;
};

void declare_run_options(CLI::App& app, RunOptions& options);

// Flags first, then the model's recommendation, then the defaults of SamplingParams. Throws CLI::ValidationError for a
// value that makes no sense.
SamplingParams sampling_params(const RunOptions& options, const LoadedModel& model);

}  // namespace mlxr::cli
