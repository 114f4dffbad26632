#pragma once
// ModelRecord: all that is known of a model by its name, and where its files are. A value.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mlxr {

// "details" of Ollama's answers. Empty strings and zeros where the files do not say.
struct ModelDetails {
  std::string format = {};  // "gguf", "safetensors"
  std::string family = {};  // the architecture: "llama"
  std::vector<std::string> families = {};
  std::string parameter_size = {};  // "8.0B", "567M"
  std::uint64_t num_parameters = 0;
  std::string quantization_level = {};  // "Q4_K_M", "BF16"
  std::int64_t context_length = 0;
  std::int64_t embedding_length = 0;
  std::string parent_model = {};

  bool operator==(const ModelDetails&) const = default;
};

using ParameterValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::string>>;
// In the order in which they were written; `stop` is one entry with a list.
using ModelParameters = std::vector<std::pair<std::string, ParameterValue>>;

struct ModelMessage {
  std::string role;
  std::string content;

  bool operator==(const ModelMessage&) const = default;
};

enum class ModelOrigin : std::uint8_t {
  kStore,     // a manifest of MODELS
  kImported,  // indexed where it lies
  kFolder,    // found by name in a model folder (core/runtime/model_path.h)
  kPath,      // named by its path
};
const char* model_origin_name(ModelOrigin origin);  // "store", "imported", ...

struct ModelRecord {
  std::string name;       // as display() of ModelName, or the name or path that found it
  std::string full_name;  // with host and namespace; the same as `name` outside of a registry
  std::string digest;     // of the manifest; otherwise of path, sizes and times of the files. "sha256:..."
  ModelOrigin origin = ModelOrigin::kPath;
  std::string path;  // opens with open_weights: a GGUF file (the first of a split set) or a folder
  std::vector<std::string> adapter_paths = {};
  std::vector<std::string> projector_paths = {};
  std::string draft_path = {};

  std::string chat_template = {};  // Jinja, instead of the model's own; empty: the model's own is used
  std::string own_template = {};   // the model's own, as its files have it; to show
  std::string go_template = {};    // TEMPLATE in Go's language: kept and shown, not rendered
  std::string system = {};
  ModelParameters parameters = {};
  std::vector<std::string> licenses = {};
  std::vector<ModelMessage> messages = {};
  std::string renderer = {};
  std::string parser = {};
  std::string requires_version = {};

  ModelDetails details = {};
  std::vector<std::string> capabilities = {};  // completion, tools, insert, vision, embedding, thinking
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modified = {};
  std::vector<std::string> warnings = {};  // what of the model is not honoured, for people

  bool can(std::string_view capability) const;
};

// What a list shows: a record without texts and parameters.
struct ModelSummary {
  std::string name;
  std::string full_name;
  std::string digest;
  ModelOrigin origin = ModelOrigin::kStore;
  std::string path = {};  // of imported ones
  ModelDetails details = {};
  std::vector<std::string> capabilities = {};
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point modified = {};
  std::string problem = {};  // why it cannot be used: a missing file, a broken manifest; empty: it can
};

// "30-column keys", as `show --parameters` prints them: one line a value, `stop` one line each.
std::string parameters_text(const ModelParameters& parameters);

}  // namespace mlxr
