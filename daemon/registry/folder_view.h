#pragma once
// Models of several files (a Hugging Face folder, a split GGUF) as blobs: MODELS/folders/HEX, where HEX is the digest
// of the manifest, holds each named layer as a link to its blob under the name that it has in a folder. Any thread.

#include <optional>
#include <string>

#include "core/base/status.h"
#include "daemon/registry/manifest.h"

namespace mlxr {

// A model whose layers have names: kFile layers, or kModel layers "x-00001-of-00003.gguf".
bool needs_folder_view(const Manifest& manifest);

// The view's folder, existing or not.
std::string folder_view_path(const std::string& models_folder, const Manifest& manifest);
// Makes the view when it is not there, and a broken one again. It appears whole. kCorrupt for a name that leaves the
// folder or comes twice, kNotFound when a blob is missing.
Result<std::string> make_folder_view(const std::string& models_folder, const Manifest& manifest);
void remove_folder_view(const std::string& models_folder, const Manifest& manifest);
// What open_weights opens: the only GGUF file or the first of a split set, else the folder.
Result<std::string> folder_view_model(const std::string& models_folder, const Manifest& manifest);

// A relative file name without empty parts, "." and "..", control characters and backslashes, at most 255 bytes a part.
bool is_safe_file_name(std::string_view name);

}  // namespace mlxr
