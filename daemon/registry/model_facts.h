#pragma once
// What a model's own files say of it, without reading weights: of a GGUF file (or split set) its metadata, of a Hugging
// Face folder its JSON files, of both the list of tensors.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "daemon/registry/file_stamp.h"
#include "daemon/registry/model_record.h"

namespace mlxr {

class WeightSource;

// A file that a model consists of. While path, size and time are the same, so is what was read from it.
struct ModelFile {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;

  bool operator==(const ModelFile&) const = default;
};

// The files behind a path that open_weights opens: one file, a split set, or the files of a folder that a model reads.
// kNotFound names what is missing, and says so of a shard.
Result<std::vector<ModelFile>> model_files(const std::string& path);
// "sha256:..." of paths, sizes and times.
std::string digest_of_files(const std::vector<ModelFile>& files);

struct ModelFacts {
  ModelDetails details;
  std::vector<std::string> capabilities;
  std::string chat_template;  // the model's own; empty: none
  std::string license;
  std::vector<std::string> warnings;
};

// Errors of open_weights. An architecture that this build does not run is a warning.
Result<ModelFacts> inspect_model(const std::string& path);
ModelFacts facts_of(const WeightSource& source);

// What a chat template can do: "tools", "thinking".
std::vector<std::string> template_abilities(const std::string& chat_template);

// "8.0B", "134.52M", "7K", as Ollama writes parameter sizes.
std::string parameter_size_text(std::uint64_t num_parameters);
// llama_ftype's name; empty when there is none.
std::string file_type_name(std::uint64_t file_type);

// For the database. What is not as written reads as nothing known.
std::string details_to_json(const ModelDetails& details, const std::vector<std::string>& capabilities);
void details_from_json(const std::string& text, ModelDetails& details, std::vector<std::string>& capabilities);
std::string facts_to_json(const ModelFacts& facts);
bool facts_from_json(const std::string& text, ModelFacts& facts);
std::string files_to_json(const std::vector<ModelFile>& files);
std::vector<ModelFile> files_from_json(const std::string& text);

}  // namespace mlxr
