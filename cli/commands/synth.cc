// mlxr synth --shape NAME|config.json --type T -o FILE: random weights of a real model's shape.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "core/io/json_file.h"
#include "core/models/config_reader.h"
#include "core/runtime/convert/synthetic_model.h"

namespace mlxr::cli {
namespace {

struct SynthOptions {
  std::string shape;
  std::string type = "Q4_K_M";
  std::string out;
  std::uint64_t seed = 1;
};

Result<ModelConfig> shape_config(const std::string& shape) {
  if (!shape.ends_with(".json")) return synthetic_shape(shape);
  MLXR_ASSIGN_OR_RETURN(const nlohmann::json json, read_json_file(shape));
  MLXR_ASSIGN_OR_RETURN(ModelConfig config, read_hugging_face_config(json, "llama", shape));
  config.name = shape + " (random weights)";
  return config;
}

Status synth(const SynthOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const ModelConfig config, shape_config(options.shape));
  MLXR_ASSIGN_OR_RETURN(const QuantMix mix, find_quant_mix(options.type));
  Progress progress({.label = "Writing", .unit = ProgressUnit::kBytes});
  std::uint64_t bytes = 0;
  MLXR_RETURN_IF_ERROR(write_synthetic_model(
      config, options.out, {.mix = mix, .seed = options.seed, .progress = [&](std::uint64_t done, std::uint64_t total) {
                              progress.set_total(total);
                              progress.update(done);
                              bytes = total;
                            }}));
  progress.finish();
  if (output.json()) {
    output.write_json({{"file", options.out}, {"type", mix.name}, {"tensor_bytes", bytes}});
  } else {
    output.line(
        fmt::format("{}: {} of random weights as {}", options.out, format_bytes(static_cast<double>(bytes)), mix.name));
  }
  return {};
}

}  // namespace

CommandBody declare_synth(CLI::App& app) {
  auto options = std::make_shared<SynthOptions>();
  app.add_option("--shape", options->shape, "a known shape (" + synthetic_shape_names() + ") or a config.json")
      ->required();
  app.add_option("--type", options->type, "type or mix of the weights: " + quant_mix_names())->capture_default_str();
  app.add_option("-o,--out", options->out, "GGUF file to write")->required();
  app.add_option("--seed", options->seed, "seed of the random numbers")->capture_default_str();
  return [options](Output& output) { return synth(*options, output); };
}

}  // namespace mlxr::cli
