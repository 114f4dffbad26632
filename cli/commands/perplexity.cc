// mlxr perplexity MODEL FILE: how well a model predicts a text, by the method of llama-perplexity.

#include "core/runtime/perplexity.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "core/io/json_file.h"
#include "core/runtime/model_path.h"

namespace mlxr::cli {
namespace {

struct PerplexityCommand {
  std::string model;
  std::string text;
  PerplexityOptions options;
  ModelOptions model_options;
};

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

Status perplexity(const PerplexityCommand& command, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(command.model));
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(command.text, kMaxTextBytes));
  ModelOptions model_options = command.model_options;
  model_options.context = command.options.context;
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, model_options));
  const std::vector<TokenId> tokens = model->tokenizer()->encode(text, {.parse_special = false});
  Progress progress({.label = "Scoring", .unit = ProgressUnit::kTokens});
  MLXR_ASSIGN_OR_RETURN(
      const PerplexityEstimate result,
      measure_perplexity(*model, tokens, command.options,
                         [&](const PerplexityEstimate& so_far, std::int64_t num_chunks) {
                           progress.set_label(fmt::format("Scoring (perplexity {:.3f})", so_far.perplexity));
                           progress.set_total(static_cast<std::uint64_t>(num_chunks * command.options.context));
                           progress.update(static_cast<std::uint64_t>(so_far.chunks * command.options.context));
                         }));
  progress.finish();
  if (output.json()) {
    output.write_json({{"perplexity", result.perplexity},
                       {"error", result.error},
                       {"scored_tokens", result.tokens},
                       {"chunks", result.chunks},
                       {"context", command.options.context}});
  } else {
    output.line(fmt::format("perplexity {:.4f} +/- {:.4f} ({} tokens scored in {} chunks of {})", result.perplexity,
                            result.error, result.tokens, result.chunks, command.options.context));
  }
  return {};
}

}  // namespace

CommandBody declare_perplexity(CLI::App& app) {
  auto command = std::make_shared<PerplexityCommand>();
  app.add_option("model", command->model, "GGUF file, Hugging Face folder, or name of a model")->required();
  app.add_option("text", command->text, "text file")->required();
  app.add_option("--ctx", command->options.context, "tokens a chunk")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 24));
  app.add_option("--chunks", command->options.max_chunks, "chunks at most (default: all)")
      ->check(CLI::Range(1, 1 << 30));
  add_backend_options(app, command->model_options);
  add_kv_type_option(app, command->model_options);
  return [command](Output& output) { return perplexity(*command, output); };
}

}  // namespace mlxr::cli
