#pragma once
// Which files of a Hugging Face repository make a model. Pure: no network. Any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct HubFile {
  std::string path;
  std::uint64_t size = 0;
  std::string sha256 = {};    // "sha256:..."; empty for files that git itself holds
  std::string git_blob = {};  // 40 hexadecimal digits: the SHA-1 that git knows those by
};

// One page of /api/models/REPO/tree/REV?recursive=1. Entries with unsafe names are left out. kCorrupt.
Result<std::vector<HubFile>> parse_hub_tree(std::string_view json, const std::string& source);

struct HubChoice {
  bool is_gguf = false;
  std::string quantization = {};        // of GGUF files, as the file's name has it: "Q4_K_M"
  std::vector<HubFile> files = {};      // parts of a split GGUF in their order
  std::vector<std::string> notes = {};  // what was left out, for people
};

bool has_gguf(const std::vector<HubFile>& files);

// The GGUF files of a quantisation, in any case: the end of a file's or the name of its folder. "latest" (or empty)
// takes the first of a list of common ones. kNotFound lists what there is; kCorrupt when parts are missing.
Result<HubChoice> choose_gguf(const std::vector<HubFile>& files, std::string_view tag, const std::string& repository);

// config.json, the tokenizer's files and weights in safetensors: those that `index_json` names (the content of
// model.safetensors.index.json, empty when there is none). kNotFound, kUnsupported for weights in other formats.
Result<HubChoice> choose_safetensors(const std::vector<HubFile>& files, std::string_view index_json,
                                     const std::string& repository);

inline constexpr std::string_view kSafetensorsIndex = "model.safetensors.index.json";

}  // namespace mlxr
