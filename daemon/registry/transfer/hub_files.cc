#include "daemon/registry/transfer/hub_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "daemon/registry/digest.h"
#include "daemon/registry/folder_view.h"

namespace mlxr {
namespace {

constexpr std::size_t kMaxListed = 20;
constexpr int kMaxShards = 10'000;

// What is taken when no quantisation is named: small and good first.
constexpr std::array<std::string_view, 14> kUsualQuantizations = {"Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL", "IQ4_XS",
                                                                  "MXFP4",  "Q5_K_M", "Q5_0", "Q6_K",   "Q8_0",
                                                                  "Q3_K_M", "BF16",   "F16",  "F32"};

constexpr std::array<std::string_view, 15> kSideFiles = {"config.json",         "generation_config.json",
                                                         "tokenizer.json",      "tokenizer_config.json",
                                                         "tokenizer.model",     "spiece.model",
                                                         "tiktoken.model",      "special_tokens_map.json",
                                                         "added_tokens.json",   "vocab.json",
                                                         "vocab.txt",           "merges.txt",
                                                         "chat_template.jinja", "chat_template.json",
                                                         kSafetensorsIndex};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_gguf_weights(const HubFile& file) {
  const std::string name = lower_case(base_name(file.path));
  return name.ends_with(".gguf") && name.find("mmproj") == std::string::npos && !name.starts_with("imatrix");
}

// "x-00002-of-00003" -> {"x", 2, 3}
struct ShardName {
  std::string stem;
  int number = 1;
  int count = 1;
};

std::optional<int> five_digits(std::string_view text) {
  if (text.size() != 5) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

ShardName shard_name(std::string_view path_without_ending) {
  constexpr std::size_t kTail = 15;  // "-00001-of-00003"
  ShardName name{.stem = std::string(path_without_ending)};
  if (path_without_ending.size() <= kTail) return name;
  const std::string_view tail = path_without_ending.substr(path_without_ending.size() - kTail);
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return name;
  if (*number < 1 || *count < *number || *count > kMaxShards) return name;
  return {.stem = std::string(path_without_ending.substr(0, path_without_ending.size() - kTail)),
          .number = *number,
          .count = *count};
}

// Files that make one model together.
struct GgufSet {
  std::string stem;
  int count = 1;
  std::map<int, HubFile> files = {};
};

std::vector<GgufSet> gguf_sets(const std::vector<HubFile>& files) {
  constexpr std::size_t kEnding = 5;  // ".gguf"
  std::map<std::pair<std::string, int>, GgufSet> sets;
  for (const HubFile& file : files) {
    if (!is_gguf_weights(file)) continue;
    const ShardName name = shard_name(std::string_view(file.path).substr(0, file.path.size() - kEnding));
    GgufSet& set = sets[{name.stem, name.count}];
    set.stem = name.stem;
    set.count = name.count;
    set.files.emplace(name.number, file);
  }
  std::vector<GgufSet> result;
  for (auto& [key, set] : sets)
    result.push_back(std::move(set));
  return result;
}

bool looks_like_quantization(std::string_view lower) {
  return lower == "f16" || lower == "f32" || lower == "bf16" || lower.starts_with("q") || lower.starts_with("iq") ||
         lower.starts_with("tq") || lower.starts_with("mxfp");
}

std::string_view folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : base_name(path.substr(0, slash));
}

// How well a set answers to a tag: 0 not at all, more is better.
int match_of(const GgufSet& set, const std::string& tag) {
  const std::string stem = lower_case(set.stem);
  const std::string name(base_name(stem));
  if (name == tag || name + ".gguf" == tag) return 4;
  if (name.size() > tag.size() && name.ends_with(tag)) {
    const char before = name[name.size() - tag.size() - 1];
    if (before == '-' || before == '.' || (before == '_' && looks_like_quantization(tag))) {
      // "UD-Q4_K_M" and "i1-Q4_K_M" are other files than "Q4_K_M" where both are there.
      const std::string_view rest = std::string_view(name).substr(0, name.size() - tag.size() - 1);
      return rest.ends_with("-ud") || rest.ends_with(".i1") ? 2 : 3;
    }
  }
  return folder_of(stem) == tag ? 1 : 0;
}

const GgufSet* best_match(const std::vector<GgufSet>& sets, std::string_view tag) {
  const std::string wanted = lower_case(tag);
  const GgufSet* best = nullptr;
  int most = 0;
  for (const GgufSet& set : sets) {
    const int match = match_of(set, wanted);
    const bool better = match > most || (match == most && match > 0 && set.stem.size() < best->stem.size());
    if (!better) continue;
    best = &set;
    most = match;
  }
  return best;
}

const GgufSet* usual_set(const std::vector<GgufSet>& sets) {
  if (sets.size() == 1) return &sets.front();
  for (const std::string_view quantization : kUsualQuantizations) {
    if (const GgufSet* set = best_match(sets, quantization)) return set;
  }
  return nullptr;
}

// "dir/Model-1B-Q4_K_M" -> "Q4_K_M", "Q8_0/model" -> "Q8_0"
std::string quantization_of(const GgufSet& set) {
  const std::string_view name = base_name(set.stem);
  const auto dash = name.find_last_of("-.");
  for (const std::string_view part :
       {dash == std::string_view::npos ? name : name.substr(dash + 1), folder_of(set.stem)}) {
    if (!looks_like_quantization(lower_case(part))) continue;
    std::string upper(part);
    for (char& c : upper) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return upper;
  }
  return {};
}

std::string names_of(const std::vector<GgufSet>& sets) {
  std::string names;
  for (std::size_t i = 0; i < sets.size() && i < kMaxListed; ++i) {
    const std::string quantization = quantization_of(sets[i]);
    names += (i == 0 ? "" : ", ") + (quantization.empty() ? std::string(base_name(sets[i].stem)) : quantization);
  }
  if (sets.size() > kMaxListed) names += ", ...";
  return names;
}

const HubFile* find_file(const std::vector<HubFile>& files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const HubFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

bool is_root_safetensors(const HubFile& file) {
  return file.path.find('/') == std::string::npos && file.path.ends_with(".safetensors") &&
         !file.path.starts_with("consolidated");
}

Result<std::set<std::string>> weights_of_index(std::string_view index_json, const std::string& repository) {
  const auto json = nlohmann::json::parse(index_json, nullptr, false);
  const std::string where = fmt::format("{}/{}", repository, kSafetensorsIndex);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return corrupt(where + ": no object \"weight_map\"");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || !is_safe_file_name(file.get_ref<const std::string&>())) {
      return corrupt(where + ": a weight without a usable file name");
    }
    names.insert(file.get<std::string>());
  }
  return names;
}

Status no_weights(const std::vector<HubFile>& files, const std::string& repository) {
  const bool has_pickles = std::any_of(files.begin(), files.end(), [](const HubFile& file) {
    return file.path.ends_with(".bin") || file.path.ends_with(".pth") || file.path.ends_with(".pt");
  });
  if (has_pickles) {
    return unsupported(
        fmt::format("{} has weights in PyTorch's pickle format alone, which are not read: they can run "
                    "code",
                    repository));
  }
  return not_found(fmt::format("{} has neither GGUF nor safetensors files", repository));
}

}  // namespace

Result<std::vector<HubFile>> parse_hub_tree(std::string_view json_text, const std::string& source) {
  const auto json = nlohmann::json::parse(json_text, nullptr, false);
  if (!json.is_array()) return corrupt(source + ": the list of files is no list");
  const auto text_of = [](const nlohmann::json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::vector<HubFile> files;
  for (const auto& entry : json) {
    if (!entry.is_object()) return corrupt(source + ": an entry of the list of files is no object");
    if (text_of(entry, "type") != "file") continue;
    HubFile file{.path = text_of(entry, "path"), .git_blob = text_of(entry, "oid")};
    if (!is_safe_file_name(file.path)) continue;
    const auto size = entry.find("size");
    if (size == entry.end() || !size->is_number_unsigned()) {
      return corrupt(fmt::format("{}: {} has no size", source, file.path));
    }
    file.size = size->get<std::uint64_t>();
    const auto lfs = entry.find("lfs");
    if (lfs != entry.end() && lfs->is_object()) {
      const auto digest = parse_digest("sha256:" + text_of(*lfs, "oid"));
      if (!digest.ok()) return corrupt(fmt::format("{}: {} has no digest", source, file.path));
      file.sha256 = *digest;
    }
    files.push_back(std::move(file));
  }
  return files;
}

bool has_gguf(const std::vector<HubFile>& files) {
  return std::any_of(files.begin(), files.end(), &is_gguf_weights);
}

Result<HubChoice> choose_gguf(const std::vector<HubFile>& files, std::string_view tag, const std::string& repository) {
  const std::vector<GgufSet> sets = gguf_sets(files);
  const bool any = tag.empty() || lower_case(tag) == "latest";
  const GgufSet* set = any ? usual_set(sets) : best_match(sets, tag);
  if (set == nullptr) {
    return not_found(fmt::format("{} has no GGUF file {}; there are: {}", repository,
                                 any ? "of a usual quantisation, name one" : fmt::format("for \"{}\"", tag),
                                 names_of(sets)));
  }
  HubChoice choice{.is_gguf = true, .quantization = quantization_of(*set)};
  for (int number = 1; number <= set->count; ++number) {
    const auto found = set->files.find(number);
    if (found == set->files.end()) {
      return corrupt(fmt::format("{}: {} lacks part {} of {}", repository, set->stem, number, set->count));
    }
    choice.files.push_back(found->second);
  }
  for (const HubFile& file : files) {
    if (lower_case(base_name(file.path)).find("mmproj") != std::string::npos) {
      choice.notes.push_back(fmt::format("left out {}: images are not supported", file.path));
    }
  }
  return choice;
}

Result<HubChoice> choose_safetensors(const std::vector<HubFile>& files, std::string_view index_json,
                                     const std::string& repository) {
  std::set<std::string> weights;
  if (!index_json.empty()) {
    MLXR_ASSIGN_OR_RETURN(weights, weights_of_index(index_json, repository));
  } else if (find_file(files, "model.safetensors") != nullptr) {
    weights.insert("model.safetensors");
  } else {
    for (const HubFile& file : files) {
      if (is_root_safetensors(file)) weights.insert(file.path);
    }
  }
  if (weights.empty()) return no_weights(files, repository);
  if (find_file(files, "config.json") == nullptr) {
    return not_found(fmt::format("{} has no config.json", repository));
  }
  HubChoice choice;
  for (const std::string_view name : kSideFiles) {
    if (const HubFile* file = find_file(files, name)) choice.files.push_back(*file);
  }
  for (const std::string& name : weights) {
    const HubFile* file = find_file(files, name);
    if (file == nullptr) return corrupt(fmt::format("{}: {} is named by the index and not there", repository, name));
    choice.files.push_back(*file);
  }
  return choice;
}

}  // namespace mlxr
