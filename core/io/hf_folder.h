#pragma once
// A model folder in Hugging Face layout: config.json, safetensors weights in one file or in shards with an index, and
// the tokenizer's and generation's side files. Parsed on opening; the weights stay mapped.
//
// Errors name the file: kNotFound for a missing config.json or shard, kInvalidArgument for an index that names a file
// outside the folder, and those of the files themselves.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/io/tensor_table.h"
#include "core/io/weight_source.h"

namespace mlxr {

class HfFolder : public WeightSource {
 public:
  struct ChatTemplate {
    std::string name;  // "default", "tool_use", ...
    std::string text;
  };
  enum class Weights { kRequired, kOptional };  // kOptional: a folder of a tokenizer and a config is fine

  // Weights are model.safetensors, else the shards of model.safetensors.index.json, else the only *.safetensors file.
  static Result<std::unique_ptr<HfFolder>> open(const std::string& dir, Weights weights = Weights::kRequired);
  ~HfFolder() override;

  // File by file, in each file's order. With an index, only the tensors that it names.
  std::span<const WeightTensor> tensors() const override { return table_.tensors(); }
  const WeightTensor* find(std::string_view name) const override { return table_.find(name); }

  const std::string& path() const { return dir_; }
  std::string file_path(std::string_view name) const;  // of a file in the folder, existing or not
  std::span<const std::string> weight_paths() const { return weight_paths_; }

  const nlohmann::json& config() const;             // an object
  const nlohmann::json& generation_config() const;  // null when the file is absent, like the two below
  const nlohmann::json& tokenizer_config() const;
  const nlohmann::json& special_tokens_map() const;
  std::string config_path() const { return file_path("config.json"); }

  // tokenizer.json, when the folder has it.
  const std::optional<std::string>& tokenizer_path() const { return tokenizer_path_; }

  // chat_template.jinja and additional_chat_templates/NAME.jinja when there are any, else chat_template.json, else the
  // field of tokenizer_config.json. In that order, names unique.
  std::span<const ChatTemplate> chat_templates() const { return chat_templates_; }
  // The text of one, nullptr when absent.
  const std::string* chat_template(std::string_view name = "default") const;

 private:
  struct Documents;
  HfFolder();
  Status read_documents();
  Status read_chat_templates();
  Status open_weights(Weights weights);
  Status open_single(const std::string& path);
  Status open_sharded(const std::string& index_path);

  std::string dir_;
  std::unique_ptr<Documents> documents_;
  std::optional<std::string> tokenizer_path_;
  std::vector<ChatTemplate> chat_templates_;
  std::vector<std::string> weight_paths_;
  TensorTable table_;
};

// The shards that an index file's "weight_map" names, each with its tensors, sorted by file name.
// kInvalidArgument when a shard is anything but a plain *.safetensors file name.
struct ShardIndex {
  struct Shard {
    std::string file;
    std::vector<std::string> tensors;
  };
  std::vector<Shard> shards;
};
Result<ShardIndex> parse_shard_index(const nlohmann::json& index, const std::string& path);

// The templates of a "chat_template" field: a string, or a list of {name, template}. kInvalidArgument for anything
// else.
Result<std::vector<HfFolder::ChatTemplate>> parse_chat_templates(const nlohmann::json& field, const std::string& path);

}  // namespace mlxr
