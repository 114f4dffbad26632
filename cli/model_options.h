#pragma once
// Options that every command with a model takes.

#include "core/runtime/loaded_model.h"

namespace CLI {
class App;
}

namespace mlxr::cli {

// --backend and --threads.
void add_backend_options(CLI::App& app, ModelOptions& options);
// --kv-type.
void add_kv_type_option(CLI::App& app, ModelOptions& options);
// --ctx: the length of the KV cache.
void add_context_option(CLI::App& app, ModelOptions& options);

}  // namespace mlxr::cli
