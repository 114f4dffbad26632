#pragma once
// Names of models in registries: [scheme://][host/][namespace/]model[:tag][@digest]. A value.
//
// Each part is made of letters, digits, '_', '-' and '.' (a host also of ':'), begins with a letter, a digit or '_',
// and is at most 80 bytes long (a host 350), so that it is safe as a folder's name. Comparison and lookup do not regard
// case; the spelling is kept. Source of the grammar: Ollama's types/model/name.go.

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

inline constexpr std::string_view kDefaultHost = "registry.ollama.ai";
inline constexpr std::string_view kDefaultNamespace = "library";
inline constexpr std::string_view kDefaultTag = "latest";

struct ModelName {
  std::string scheme;  // "https", or "http" when it was asked for by name
  std::string host;
  std::string name_space;
  std::string model;
  std::string tag;
  std::string digest;  // "sha256:..." or empty

  // Of the Hugging Face hub: host hf.co or huggingface.co, both spelled hf.co here.
  bool is_hugging_face() const { return host == "hf.co"; }
  // "registry.ollama.ai/library/llama3:latest"
  std::string full() const;
  // What people see: without the default host and namespace, always with the tag: "llama3:latest", "me/x:v1",
  // "hf.co/me/x:Q4_K_M".
  std::string display() const;
  // Equal for names that mean the same: full() in lower case.
  std::string key() const;
  // "registry.ollama.ai/library/llama3/latest": below MODELS/manifests.
  std::string manifest_path() const;
};

// Absent parts take their defaults. kInvalidArgument says which part is wrong and how.
Result<ModelName> parse_model_name(std::string_view text);
// From the four parts of a manifest's path. kInvalidArgument when that could not be a name.
Result<ModelName> model_name_of_parts(std::string_view host, std::string_view name_space, std::string_view model,
                                      std::string_view tag);

}  // namespace mlxr
