// mlxr imatrix MODEL TEXT -o F: which weights matter on a text, for mlxr quantize --imatrix.

#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/progress.h"
#include "core/io/json_file.h"
#include "core/models/architecture.h"
#include "core/runtime/convert/importance_recorder.h"
#include "core/runtime/loaded_model.h"
#include "core/runtime/model_path.h"
#include "core/runtime/perplexity.h"

namespace mlxr::cli {
namespace {

struct ImatrixOptions {
  std::string model;
  std::string text;
  std::string out;
  std::int64_t context = 512;
  std::int64_t chunks = 0;
  int threads = 0;
};

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// Entries under GGUF's names, whatever the source calls its tensors.
Importance with_gguf_names(Importance recorded, const ModelConfig& config) {
  if (config.naming == Naming::kGguf) return recorded;
  const auto rows = find_architecture(config.architecture)->tensor_rows();
  auto entries = std::move(recorded.entries);
  recorded.entries.clear();
  for (auto& [name, entry] : entries) {
    const auto match = match_tensor(rows, config.naming, name);
    const std::string gguf = match ? tensor_stem(*match->row, Naming::kGguf, match->layer) + ".weight" : name;
    recorded.entries[gguf] = std::move(entry);
  }
  return recorded;
}

Status imatrix(const ImatrixOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(options.model));
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(options.text, kMaxTextBytes));
  ImportanceRecorder* recorder = nullptr;
  ModelOptions model_options;
  model_options.num_threads = options.threads;
  model_options.context = options.context;
  model_options.decorate = [&recorder](Backend& inner) {
    auto made = std::make_unique<ImportanceRecorder>(inner);
    recorder = made.get();
    return made;
  };
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, model_options));
  const std::vector<TokenId> tokens = model->tokenizer()->encode(text);
  Progress progress({.label = "Recording", .unit = ProgressUnit::kTokens});
  std::int64_t chunks = 0;
  MLXR_RETURN_IF_ERROR(run_chunks(*model, tokens, {.context = options.context, .max_chunks = options.chunks},
                                  [&](const PerplexityEstimate& so_far, std::int64_t num_chunks) {
                                    progress.set_total(static_cast<std::uint64_t>(num_chunks * options.context));
                                    progress.update(static_cast<std::uint64_t>(so_far.tokens));
                                    chunks = so_far.chunks;
                                  }));
  progress.finish();
  Importance importance = with_gguf_names(std::move(recorder->importance()), model->model().config());
  importance.datasets = {std::filesystem::path(options.text).filename().string()};
  importance.num_chunks = chunks;
  importance.chunk_tokens = options.context;
  MLXR_RETURN_IF_ERROR(write_importance(importance, options.out));
  if (output.json()) {
    output.write_json({{"file", options.out}, {"entries", importance.entries.size()}, {"chunks", chunks}});
  } else {
    output.line(fmt::format("{}: {} weights over {} chunks of {} tokens", options.out, importance.entries.size(),
                            chunks, options.context));
  }
  return {};
}

}  // namespace

CommandBody declare_imatrix(CLI::App& app) {
  auto options = std::make_shared<ImatrixOptions>();
  app.add_option("model", options->model, "GGUF file, Hugging Face folder, or name of a model")->required();
  app.add_option("text", options->text, "text file that the model is run over")->required();
  app.add_option("-o,--out", options->out, "file to write")->required();
  app.add_option("--ctx", options->context, "tokens a chunk")->capture_default_str()->check(CLI::Range(4, 1 << 20));
  app.add_option("--chunks", options->chunks, "chunks at most (default: all)")->check(CLI::Range(1, 1 << 30));
  app.add_option("--threads", options->threads, "threads (default: the physical cores)")->check(CLI::Range(1, 4096));
  return [options](Output& output) { return imatrix(*options, output); };
}

}  // namespace mlxr::cli
