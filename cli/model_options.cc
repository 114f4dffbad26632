#include "cli/model_options.h"

#include <CLI/CLI.hpp>

namespace mlxr::cli {

void add_backend_options(CLI::App& app, ModelOptions& options) {
  app.add_option("--backend", options.backend, "what computes: cpu or reference")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "reference"}));
  app.add_option("--threads", options.num_threads, "threads (default: the physical cores)")->check(CLI::Range(1, 1024));
}

void add_context_option(CLI::App& app, ModelOptions& options) {
  app.add_option("--ctx", options.context, "tokens of context (default: the model's, at most 8192)")
      ->check(CLI::Range(1, 1 << 30));
}

void add_kv_type_option(CLI::App& app, ModelOptions& options) {
  const std::string names = "auto, " + kv_type_names();
  app.add_option("--kv-type", options.kv_type, "type of the KV cache: " + names)
      ->capture_default_str()
      ->check([names](const std::string& name) {
        const bool known = name == "auto" || kv_type_by_name(name).has_value();
        return known ? std::string() : name + " is not one of " + names;
      });
}

}  // namespace mlxr::cli
