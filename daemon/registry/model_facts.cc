#include "daemon/registry/model_facts.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <system_error>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/checked.h"
#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/json_file.h"
#include "core/io/open_weights.h"
#include "core/io/shard_name.h"
#include "core/models/architecture.h"
#include "core/runtime/template/chat_template.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFolderFiles = 4096;
constexpr std::size_t kMaxNameShown = 80;

bool is_model_file(const fs::path& path) {
  static constexpr std::array<std::string_view, 5> kExtensions = {".json", ".safetensors", ".jinja", ".model", ".txt"};
  return std::find(kExtensions.begin(), kExtensions.end(), path.extension().string()) != kExtensions.end();
}

Result<ModelFile> stamped(const std::string& path) {
  const auto stamp = file_stamp(path);
  if (!stamp) return not_found(path + ": no such file");
  return ModelFile{path, stamp->size_bytes, stamp->modified_ns};
}

Result<std::vector<ModelFile>> folder_files(const std::string& folder) {
  std::vector<ModelFile> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!is_model_file(it->path())) continue;
    if (files.size() == kMaxFolderFiles) return invalid_argument(folder + ": too many files for a model");
    // A link whose target is gone is a missing file.
    MLXR_ASSIGN_OR_RETURN(ModelFile file, stamped(it->path().string()));
    files.push_back(std::move(file));
  }
  if (error) return internal(fmt::format("{}: cannot list: {}", folder, error.message()));
  std::sort(files.begin(), files.end(), [](const ModelFile& a, const ModelFile& b) { return a.path < b.path; });
  return files;
}

// --- facts of a GGUF file
// ----------------------------------------------------------------------------------------------

bool has_fill_in_tokens(const Metadata& metadata) {
  for (const char* key : {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"}) {
    if (metadata.contains(key)) return true;
  }
  const auto tokens = metadata.get_strings("tokenizer.ggml.tokens");
  if (!tokens) return false;
  static constexpr std::array<std::string_view, 4> kPrefixTokens = {"<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>",
                                                                    "\xE2\x96\x81<PRE>"};
  return std::any_of(tokens->begin(), tokens->end(), [](std::string_view token) {
    return std::find(kPrefixTokens.begin(), kPrefixTokens.end(), token) != kPrefixTokens.end();
  });
}

std::string gguf_string(const Metadata& metadata, std::string_view key, std::size_t max_bytes = 200) {
  const auto value = metadata.get_string(key);
  return value ? visible_text(*value, max_bytes) : "";
}

std::int64_t gguf_number(const Metadata& metadata, const std::string& key) {
  return metadata.get_int(key).value_or(0);
}

bool is_encoder(std::string_view family) {
  return family.find("bert") != std::string_view::npos;
}

void add_gguf_facts(const GgufFile& file, ModelFacts& facts) {
  const Metadata& metadata = file.metadata();
  ModelDetails& details = facts.details;
  details.format = "gguf";
  details.family = gguf_string(metadata, "general.architecture");
  details.context_length = gguf_number(metadata, details.family + ".context_length");
  details.embedding_length = gguf_number(metadata, details.family + ".embedding_length");
  if (const auto type = metadata.get_uint("general.file_type")) details.quantization_level = file_type_name(*type);
  if (const auto text = metadata.get_string("tokenizer.chat_template")) facts.chat_template = *text;
  facts.license = gguf_string(metadata, "general.license");
  const bool encoder = is_encoder(details.family) || metadata.contains(details.family + ".pooling_type");
  facts.capabilities.emplace_back(encoder ? "embedding" : "completion");
  if (!encoder && has_fill_in_tokens(metadata)) facts.capabilities.emplace_back("insert");
  if (find_architecture(details.family) == nullptr) {
    facts.warnings.push_back(
        fmt::format("the architecture \"{}\" is not one of {}", details.family, architecture_names()));
  }
}

// --- facts of a folder
// -------------------------------------------------------------------------------------------------

std::int64_t config_number(const nlohmann::json& config, std::string_view field) {
  const auto value = json_int(config, field, "");
  return value.ok() ? *value : 0;
}

void add_folder_facts(const HfFolder& folder, ModelFacts& facts) {
  const nlohmann::json& config = folder.config();
  ModelDetails& details = facts.details;
  details.format = "safetensors";
  std::string class_name;
  if (const auto names = json_strings(config, "architectures", ""); names.ok() && !names->empty()) {
    class_name = names->front();
  }
  const Architecture* architecture = find_hugging_face_architecture(class_name);
  const auto model_type = json_string(config, "model_type", "");
  details.family = architecture != nullptr ? architecture->name
                   : model_type.ok()       ? visible_text(*model_type, kMaxNameShown)
                                           : visible_text(class_name, kMaxNameShown);
  details.context_length = config_number(config, "max_position_embeddings");
  details.embedding_length = config_number(config, "hidden_size");
  if (const std::string* text = folder.chat_template(); text != nullptr) facts.chat_template = *text;
  facts.capabilities.emplace_back(is_encoder(details.family) ? "embedding" : "completion");
  if (architecture == nullptr) {
    facts.warnings.push_back(fmt::format("the architecture \"{}\" is not one of {}",
                                         visible_text(class_name, kMaxNameShown), architecture_names()));
  }
}

// --- both
// --------------------------------------------------------------------------------------------------------------

// The type that most bytes are of, where the file does not name one.
std::string main_type(const WeightSource& source) {
  std::map<QuantType, std::uint64_t> bytes;
  for (const WeightTensor& tensor : source.tensors())
    bytes[tensor.type] += tensor.bytes.size();
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "" : quant_info(most->first).name;
}

std::uint64_t num_parameters(const WeightSource& source) {
  std::uint64_t total = 0;
  for (const WeightTensor& tensor : source.tensors()) {
    total += static_cast<std::uint64_t>(tensor.shape.num_elements());
  }
  return total;
}

}  // namespace

Result<std::vector<ModelFile>> model_files(const std::string& path) {
  const auto stamp = file_stamp(path);
  if (!stamp) return not_found(path + ": no such file or folder");
  if (stamp->is_folder) return folder_files(path);
  const auto name = parse_shard_name(path, ".gguf");
  if (!name) return std::vector<ModelFile>{{path, stamp->size_bytes, stamp->modified_ns}};
  std::vector<ModelFile> files;
  for (std::uint64_t number = 1; number <= name->count; ++number) {
    MLXR_ASSIGN_OR_RETURN(ModelFile file, stamped(shard_name({name->prefix, number, name->count}, ".gguf")));
    files.push_back(std::move(file));
  }
  return files;
}

std::string digest_of_files(const std::vector<ModelFile>& files) {
  std::string text;
  for (const ModelFile& file : files)
    text += fmt::format("{}\n{} {}\n", file.path, file.size_bytes, file.modified_ns);
  return digest_of(text);
}

Result<ModelFacts> inspect_model(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto source, open_weights(path));
  return facts_of(*source);
}

ModelFacts facts_of(const WeightSource& source) {
  ModelFacts facts;
  if (const auto* file = dynamic_cast<const GgufFile*>(&source)) {
    add_gguf_facts(*file, facts);
  } else if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) {
    add_folder_facts(*folder, facts);
  } else {
    facts.details.format = "safetensors";
    facts.warnings.emplace_back("a bare safetensors file has no config, so that it cannot be run");
  }
  ModelDetails& details = facts.details;
  if (!details.family.empty()) details.families = {details.family};
  details.num_parameters = num_parameters(source);
  details.parameter_size = parameter_size_text(details.num_parameters);
  if (details.quantization_level.empty()) details.quantization_level = main_type(source);
  for (std::string& ability : template_abilities(facts.chat_template))
    facts.capabilities.push_back(std::move(ability));
  return facts;
}

std::vector<std::string> template_abilities(const std::string& text) {
  if (text.empty()) return {};
  const auto parsed = ChatTemplate::parse(text);
  if (!parsed.ok()) return {};
  std::vector<std::string> abilities;
  if (parsed->mentions("tools")) abilities.emplace_back("tools");
  if (parsed->mentions("enable_thinking") || text.find("<think>") != std::string::npos ||
      text.find("reasoning_content") != std::string::npos) {
    abilities.emplace_back("thinking");
  }
  return abilities;
}

std::string parameter_size_text(std::uint64_t n) {
  const auto number = static_cast<double>(n);
  if (n >= 1'000'000'000) return fmt::format("{:.1f}B", number / 1e9);
  if (n >= 1'000'000) {
    return n % 1'000'000 == 0 ? fmt::format("{:.0f}M", number / 1e6) : fmt::format("{:.2f}M", number / 1e6);
  }
  if (n >= 1'000) return fmt::format("{:.0f}K", number / 1e3);
  return fmt::format("{}", n);
}

std::string file_type_name(std::uint64_t file_type) {
  switch (file_type) {
#define MLXR_FILE_TYPE(id, name) \
  case id:                       \
    return name;
#include "daemon/registry/file_types.def"
#undef MLXR_FILE_TYPE
    default:
      return "";
  }
}

}  // namespace mlxr
