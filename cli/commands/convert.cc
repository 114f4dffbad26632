// mlxr convert SRC -o OUT [--type T]: a model from one kind of file to another.

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/conversion.h"
#include "core/runtime/convert/quant_mix.h"

namespace mlxr::cli {

CommandBody declare_convert(CLI::App& app) {
  auto options = std::make_shared<ConversionOptions>();
  app.add_option("source", options->source, "Hugging Face folder, GGUF file, or name of a model")->required();
  app.add_option("-o,--out", options->out, "OUT.gguf, OUT.safetensors, or a folder for Hugging Face's layout")
      ->required();
  app.add_option("--type", options->type, "type of the matrices (default: as they are): " + quant_mix_names());
  add_conversion_options(app, *options);
  return [options](Output& output) { return run_conversion(*options, "Converting", output); };
}

}  // namespace mlxr::cli
