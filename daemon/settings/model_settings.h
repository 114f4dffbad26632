#pragma once
// What an operator may set of one model: a file NAME.yaml in the folder of model settings. Read as strictly as
// server.yaml (settings_file.h); absent values come from the model and from the settings of all.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "daemon/settings/settings.h"

namespace mlxr {

struct ModelSettings {
  // The model's name, as people call it; "*" at the end takes any rest ("qwen3:*").
  std::string model = {};

  std::optional<std::int64_t> context_length = {};
  std::optional<std::string> kv_type = {};
  std::optional<std::int64_t> kv_tokens = {};
  std::optional<Duration> keep_alive = {};
  std::optional<bool> pin = {};
  std::optional<bool> speculate = {};
  std::optional<std::string> draft_model = {};
  std::optional<std::string> chat_template_file = {};  // Jinja; relative to the file that names it
  std::optional<std::string> system = {};
  std::optional<std::int64_t> max_tokens = {};
  std::vector<std::string> stop = {};

  // Defaults of requests to it: fields of SamplingParams.
  struct Sampling {
#define MLXR_SAMPLING_FIELD(type, name) std::optional<type> name = {};
#include "core/runtime/sampler/sampling_fields.def"
#undef MLXR_SAMPLING_FIELD
  };
  Sampling sampling = {};

  std::string source = {};  // the file
};

// One file. Errors name file, line and key.
Result<ModelSettings> parse_model_settings(std::string_view text, const std::string& path);

// All *.yaml files of a folder; none when it does not exist. Two files for one model are an error.
class ModelSettingsFolder {
 public:
  static Result<ModelSettingsFolder> load(const std::string& folder);
  // The exact name wins over a pattern, a longer pattern over a shorter one. nullptr: nothing is set. Names are
  // compared without regard to case, and "x" is "x:latest".
  const ModelSettings* find(std::string_view model) const;
  const std::vector<ModelSettings>& all() const { return models_; }

 private:
  std::vector<ModelSettings> models_;
};

}  // namespace mlxr
