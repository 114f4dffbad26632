// mlxr quantize IN OUT --type T [--imatrix F] [--pure]: a model's matrices in fewer bits.

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/conversion.h"
#include "core/runtime/convert/quant_mix.h"

namespace mlxr::cli {

CommandBody declare_quantize(CLI::App& app) {
  auto options = std::make_shared<ConversionOptions>();
  app.add_option("in", options->source, "GGUF file, Hugging Face folder, or name of a model")->required();
  app.add_option("out", options->out, "GGUF file to write")->required();
  app.add_option("--type", options->type, "type or mix: " + quant_mix_names())->required();
  app.add_option("--imatrix", options->imatrix, "importance matrix made by mlxr imatrix");
  app.add_flag("--pure", options->pure, "the same type for all matrices");
  add_conversion_options(app, *options);
  return [options](Output& output) { return run_conversion(*options, "Quantizing", output); };
}

}  // namespace mlxr::cli
