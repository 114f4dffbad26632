#include "core/io/hf_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/io/byte_reader.h"
#include "core/io/json_file.h"
#include "core/io/safetensors.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;
constexpr std::string_view kDefaultTemplate = "default";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Status read_if_present(const std::string& path, json& document) {
  if (!exists(path)) return {};
  MLXR_ASSIGN_OR_RETURN(document, read_json_file(path));
  return {};
}

// Sorted paths of the regular files in a folder that end in `suffix`; none when the folder cannot be read.
std::vector<std::string> files_ending_in(const std::string& dir, std::string_view suffix) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored) && it->path().string().ends_with(suffix)) found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool is_plain_safetensors_name(const std::string& name) {
  constexpr std::string_view kExtension = ".safetensors";
  return name.size() > kExtension.size() && name.ends_with(kExtension) && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

}  // namespace

struct HfFolder::Documents {
  json config;
  json generation_config;
  json tokenizer_config;
  json special_tokens_map;
};

HfFolder::HfFolder() : documents_(std::make_unique<Documents>()) {}
HfFolder::~HfFolder() = default;

Result<std::unique_ptr<HfFolder>> HfFolder::open(const std::string& dir, Weights weights) {
  std::unique_ptr<HfFolder> folder(new HfFolder);
  folder->dir_ = dir;
  MLXR_RETURN_IF_ERROR(folder->read_documents());
  MLXR_RETURN_IF_ERROR(folder->read_chat_templates());
  MLXR_RETURN_IF_ERROR(folder->open_weights(weights));
  return folder;
}

std::string HfFolder::file_path(std::string_view name) const {
  return (fs::path(dir_) / name).string();
}

const json& HfFolder::config() const {
  return documents_->config;
}
const json& HfFolder::generation_config() const {
  return documents_->generation_config;
}
const json& HfFolder::tokenizer_config() const {
  return documents_->tokenizer_config;
}
const json& HfFolder::special_tokens_map() const {
  return documents_->special_tokens_map;
}

const std::string* HfFolder::chat_template(std::string_view name) const {
  for (const ChatTemplate& candidate : chat_templates_) {
    if (candidate.name == name) return &candidate.text;
  }
  return nullptr;
}

Status HfFolder::read_documents() {
  if (!exists(config_path())) return not_found(dir_ + ": the folder has no config.json");
  MLXR_ASSIGN_OR_RETURN(documents_->config, read_json_file(config_path()));
  if (!documents_->config.is_object()) return corrupt(config_path() + ": not a JSON object");
  MLXR_RETURN_IF_ERROR(read_if_present(file_path("generation_config.json"), documents_->generation_config));
  MLXR_RETURN_IF_ERROR(read_if_present(file_path("tokenizer_config.json"), documents_->tokenizer_config));
  MLXR_RETURN_IF_ERROR(read_if_present(file_path("special_tokens_map.json"), documents_->special_tokens_map));
  if (exists(file_path("tokenizer.json"))) tokenizer_path_ = file_path("tokenizer.json");
  return {};
}

Status HfFolder::read_chat_templates() {
  const std::string main_path = file_path("chat_template.jinja");
  if (exists(main_path)) {
    MLXR_ASSIGN_OR_RETURN(std::string text, read_text_file(main_path, kMaxTemplateBytes));
    chat_templates_.push_back({std::string(kDefaultTemplate), std::move(text)});
  }
  for (const std::string& path : files_ending_in(file_path("additional_chat_templates"), ".jinja")) {
    MLXR_ASSIGN_OR_RETURN(std::string text, read_text_file(path, kMaxTemplateBytes));
    std::string name = fs::path(path).stem().string();
    if (chat_template(name) == nullptr) chat_templates_.push_back({std::move(name), std::move(text)});
  }
  if (!chat_templates_.empty()) return {};

  json legacy;
  const std::string legacy_path = file_path("chat_template.json");
  MLXR_RETURN_IF_ERROR(read_if_present(legacy_path, legacy));
  const json* field = json_find(legacy, "chat_template");
  const std::string path = field != nullptr ? legacy_path : file_path("tokenizer_config.json");
  if (field == nullptr) field = json_find(documents_->tokenizer_config, "chat_template");
  if (field == nullptr) return {};
  MLXR_ASSIGN_OR_RETURN(chat_templates_, parse_chat_templates(*field, path));
  return {};
}

Status HfFolder::open_weights(Weights weights) {
  if (exists(file_path(kWeightsFile))) return open_single(file_path(kWeightsFile));
  if (exists(file_path(kIndexFile))) return open_sharded(file_path(kIndexFile));
  const std::vector<std::string> files = files_ending_in(dir_, ".safetensors");
  if (files.size() == 1) return open_single(files.front());
  if (weights == Weights::kOptional) return {};
  if (!files.empty()) {
    return invalid_argument(fmt::format("{}: {} safetensors files, but neither {} nor {} to say which", dir_,
                                        files.size(), kWeightsFile, kIndexFile));
  }
  if (exists(file_path("pytorch_model.bin")) || exists(file_path("pytorch_model.bin.index.json"))) {
    return unsupported(dir_ + ": weights are PyTorch pickles (pytorch_model.bin), convert them to safetensors");
  }
  return not_found(fmt::format("{}: the folder has no weights (no *.safetensors file)", dir_));
}

Status HfFolder::open_single(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto file, SafetensorsFile::open(path));
  table_.reserve(file->tensors().size());
  for (const WeightTensor& tensor : file->tensors())
    MLXR_RETURN_IF_ERROR(table_.add(tensor));
  weight_paths_.push_back(path);
  return {};
}

Status HfFolder::open_sharded(const std::string& index_path) {
  MLXR_ASSIGN_OR_RETURN(const json document, read_json_file(index_path));
  MLXR_ASSIGN_OR_RETURN(const ShardIndex index, parse_shard_index(document, index_path));
  for (const ShardIndex::Shard& shard : index.shards) {
    const std::string path = file_path(shard.file);
    auto file = SafetensorsFile::open(path);
    if (!file.ok()) {
      if (file.status().code() != StatusCode::kNotFound) return file.status();
      return not_found(fmt::format("{}: file is missing, {} names it", path, index_path));
    }
    std::vector<const WeightTensor*> wanted;
    for (const std::string& name : shard.tensors) {
      const WeightTensor* tensor = (*file)->find(name);
      if (tensor == nullptr) {
        return corrupt(fmt::format("{}: tensor {} is missing, {} places it here", path, quote_name(name), index_path));
      }
      wanted.push_back(tensor);
    }
    std::sort(wanted.begin(), wanted.end());  // one array: the file's order
    for (const WeightTensor* tensor : wanted)
      MLXR_RETURN_IF_ERROR(table_.add(*tensor));
    weight_paths_.push_back(path);
  }
  return {};
}

Result<ShardIndex> parse_shard_index(const json& index, const std::string& path) {
  const json* map = json_find(index, "weight_map");
  if (map == nullptr || !map->is_object()) return corrupt(path + ": field \"weight_map\" is missing or no object");
  std::map<std::string, std::vector<std::string>> by_file;
  for (const auto& [name, file] : map->items()) {
    const auto* file_name = file.get_ptr<const json::string_t*>();
    if (file_name == nullptr) {
      return corrupt(fmt::format("{}: weight_map entry {} is no file name", path, quote_name(name)));
    }
    if (!is_plain_safetensors_name(*file_name)) {
      return invalid_argument(fmt::format("{}: weight_map entry {} names {}, not a safetensors file of the folder",
                                          path, quote_name(name), quote_name(*file_name)));
    }
    by_file[*file_name].push_back(name);
  }
  ShardIndex parsed;
  for (auto& [file, tensors] : by_file)
    parsed.shards.push_back({file, std::move(tensors)});
  return parsed;
}

Result<std::vector<HfFolder::ChatTemplate>> parse_chat_templates(const json& field, const std::string& path) {
  std::vector<HfFolder::ChatTemplate> templates;
  if (const auto* text = field.get_ptr<const json::string_t*>()) {
    templates.push_back({std::string(kDefaultTemplate), *text});
    return templates;
  }
  if (!field.is_array()) {
    return invalid_argument(path + ": field \"chat_template\" is neither a string nor a list of {name, template}");
  }
  for (std::size_t i = 0; i < field.size(); ++i) {
    const auto in_field = [i](const Status& status) {
      return Status(status.code(), fmt::format("{} (in chat_template[{}])", status.message(), i));
    };
    auto name = json_string(field[i], "name", path);
    if (!name.ok()) return in_field(name.status());
    auto text = json_string(field[i], "template", path);
    if (!text.ok()) return in_field(text.status());
    const bool known = std::any_of(templates.begin(), templates.end(),
                                   [&](const HfFolder::ChatTemplate& other) { return other.name == *name; });
    if (!known) templates.push_back({std::move(name).value(), std::move(text).value()});
  }
  return templates;
}

}  // namespace mlxr
