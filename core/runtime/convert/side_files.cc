#include "core/runtime/convert/side_files.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/json_file.h"
#include "core/models/config_reader.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The sampling that a model recommends, in both spellings.
struct SamplingField {
  const char* json;
  const char* gguf;
  bool integer;
};
constexpr SamplingField kSamplingFields[] = {{"temperature", "general.sampling.temp", false},
                                             {"top_k", "general.sampling.top_k", true},
                                             {"top_p", "general.sampling.top_p", false},
                                             {"min_p", "general.sampling.min_p", false},
                                             {"repetition_penalty", "general.sampling.penalty_repeat", false}};
// Of generation_config.json: told elsewhere in a GGUF file, or about the file itself.
constexpr std::array kKnownGenerationFields = {
    "bos_token_id",       "eos_token_id", "pad_token_id", "do_sample",         "transformers_version",
    "_from_model_config", "use_cache",    "max_length",   "output_attentions", "output_hidden_states"};

Status add_sampling(const HfFolder& folder, Metadata& metadata, std::vector<std::string>& warnings) {
  const json& config = folder.generation_config();
  if (!config.is_object()) return {};
  const std::string path = folder.file_path("generation_config.json");
  for (const auto& [key, value] : config.items()) {
    const std::string_view name = key;
    const auto* field = std::find_if(std::begin(kSamplingFields), std::end(kSamplingFields),
                                     [&](const SamplingField& row) { return name == row.json; });
    if (field == std::end(kSamplingFields)) {
      const bool known =
          std::find(kKnownGenerationFields.begin(), kKnownGenerationFields.end(), name) != kKnownGenerationFields.end();
      if (!known && !value.is_null()) {
        warnings.push_back(fmt::format("{}: \"{}\" has no counterpart in GGUF and is left out", path, key));
      }
      continue;
    }
    if (value.is_null()) continue;
    MLXR_ASSIGN_OR_RETURN(const double number, json_float(config, key, path));
    if (field->integer) {
      metadata.set(field->gguf, static_cast<std::int32_t>(number));
    } else {
      metadata.set(field->gguf, static_cast<float>(number));
    }
  }
  return {};
}

Status metadata_from_folder(const HfFolder& folder, const std::string& path, const ModelPlan& plan, Metadata& metadata,
                            std::vector<std::string>& warnings) {
  metadata.set_string("general.architecture", plan.config.architecture);
  metadata.set_string("general.type", "model");
  std::string name = fs::path(path).lexically_normal().filename().string();
  if (name.empty()) name = fs::path(path).parent_path().filename().string();
  metadata.set_string("general.name", name);
  metadata.set("general.file_type",
               static_cast<std::uint32_t>(plan.tensors.empty() || plan.tensors[0].type == QuantType::kF32 ? 0
                                          : plan.tensors[0].type == QuantType::kF16                       ? 1
                                                                                                          : 32));
  write_gguf_config(plan.config, metadata);
  MLXR_RETURN_IF_ERROR(add_sampling(folder, metadata, warnings));
  if (!folder.tokenizer_path()) {
    warnings.push_back(path + ": no tokenizer.json: the file will have no vocabulary");
  } else {
    MLXR_ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(path));
    MLXR_RETURN_IF_ERROR(tokenizer_to_gguf(*tokenizer, static_cast<std::size_t>(plan.config.vocab_size), metadata));
  }
  for (const HfFolder::ChatTemplate& chat_template : folder.chat_templates()) {
    const bool main = chat_template.name == "default";
    metadata.set_string(main ? "tokenizer.chat_template" : "tokenizer.chat_template." + chat_template.name,
                        chat_template.text);
  }
  return {};
}

Status write_json(const fs::path& path, const json& value) {
  return write_file_atomically(path.string(), value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

json generation_json(const Metadata& metadata, const Tokenizer* tokenizer) {
  json out = json::object();
  for (const SamplingField& field : kSamplingFields) {
    if (field.integer) {
      if (const auto value = metadata.get_int(field.gguf)) out[field.json] = *value;
    } else if (const auto number = metadata.get_float(field.gguf)) {
      out[field.json] = *number;
    }
  }
  if (tokenizer == nullptr) return out;
  const SpecialTokens& special = tokenizer->special();
  if (special.bos) out["bos_token_id"] = *special.bos;
  if (special.pad) out["pad_token_id"] = *special.pad;
  if (!special.end_of_generation.empty()) out["eos_token_id"] = special.end_of_generation;
  return out;
}

Status write_gguf_tokenizer(const std::string& source_path, const Metadata& metadata, const fs::path& out,
                            std::vector<std::string>& warnings) {
  json config = json::object();
  if (const auto text = metadata.get_string("tokenizer.chat_template")) config["chat_template"] = *text;
  std::unique_ptr<Tokenizer> tokenizer;
  if (metadata.contains("tokenizer.ggml.model")) {
    MLXR_ASSIGN_OR_RETURN(tokenizer, load_tokenizer(source_path));
    Result<json> exported = tokenizer_to_json(*tokenizer);
    if (exported.ok()) {
      MLXR_RETURN_IF_ERROR(write_json(out / "tokenizer.json", *exported));
    } else {
      warnings.push_back("no tokenizer.json: " + exported.status().message());
    }
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
    const SpecialTokens& special = tokenizer->special();
    if (special.bos) config["bos_token"] = tokenizer->piece(*special.bos);
    if (special.eos) config["eos_token"] = tokenizer->piece(*special.eos);
    if (special.pad) config["pad_token"] = tokenizer->piece(*special.pad);
  } else {
    warnings.push_back(source_path + ": no vocabulary: the folder will have no tokenizer.json");
  }
  MLXR_RETURN_IF_ERROR(write_json(out / "tokenizer_config.json", config));
  return write_json(out / "generation_config.json", generation_json(metadata, tokenizer.get()));
}

const char* torch_dtype(const ModelPlan& plan) {
  const auto matrix = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                   [](const PlannedTensor& tensor) { return tensor.source.shape.rank() == 2; });
  if (matrix == plan.tensors.end() || matrix->type == QuantType::kF32) return "float32";
  return matrix->type == QuantType::kF16 ? "float16" : "bfloat16";
}

// From one folder to another only the weights change: every side file is taken over, but for the name of their type,
// which newer versions of transformers call "dtype".
Status copy_side_files(const HfFolder& folder, const ModelPlan& plan, const std::string& out) {
  MLXR_ASSIGN_OR_RETURN(json config, read_json_file(folder.file_path("config.json")));
  config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_dtype(plan);
  MLXR_RETURN_IF_ERROR(write_json(fs::path(out) / "config.json", config));
  for (const char* name : {"generation_config.json", "tokenizer.json", "tokenizer_config.json",
                           "special_tokens_map.json", "chat_template.jinja", "chat_template.json", "tokenizer.model"}) {
    std::error_code error;
    if (!fs::exists(folder.file_path(name), error)) continue;
    MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(folder.file_path(name)));
    MLXR_RETURN_IF_ERROR(write_file_atomically((fs::path(out) / name).string(), text));
  }
  return {};
}

}  // namespace

Status gguf_metadata(const WeightSource& source, const std::string& source_path, const ModelPlan& plan,
                     Metadata& metadata, std::vector<std::string>& warnings) {
  if (const auto* file = dynamic_cast<const GgufFile*>(&source)) {
    metadata = file->metadata();
    return {};
  }
  if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) {
    return metadata_from_folder(*folder, source_path, plan, metadata, warnings);
  }
  return invalid_argument(source_path + ": bare tensors have no metadata");
}

Status write_side_files(const WeightSource& source, const std::string& source_path, const ModelPlan& plan,
                        const std::string& folder, std::vector<std::string>& warnings) {
  if (const auto* from = dynamic_cast<const HfFolder*>(&source)) return copy_side_files(*from, plan, folder);
  const auto* file = dynamic_cast<const GgufFile*>(&source);
  if (file == nullptr) return invalid_argument(source_path + ": bare tensors have no metadata");
  json config = write_hugging_face_config(plan.config);
  config["torch_dtype"] = torch_dtype(plan);
  MLXR_RETURN_IF_ERROR(write_json(fs::path(folder) / "config.json", config));
  return write_gguf_tokenizer(source_path, file->metadata(), folder, warnings);
}

}  // namespace mlxr
