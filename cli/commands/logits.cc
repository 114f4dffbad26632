// mlxr logits MODEL --ids-file F.json --out F.safetensors: what the model computes, for comparison with other software.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "core/io/json_file.h"
#include "core/io/safetensors_writer.h"
#include "core/runtime/loaded_model.h"
#include "core/runtime/model_path.h"

namespace mlxr::cli {
namespace {

struct LogitsOptions {
  std::string model;
  std::string ids_file;
  std::string out;
  std::string mode = "prefill";
  ModelOptions model_options;
};

Result<std::vector<TokenId>> read_ids(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const nlohmann::json json, read_json_file(path));
  if (!json.is_array() || json.empty()) return invalid_argument(path + ": not a JSON array of token ids");
  std::vector<TokenId> ids;
  for (const nlohmann::json& id : json) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      return invalid_argument(fmt::format("{}: element {} is not a token id", path, ids.size()));
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

// Tokens a step: "prefill" is all at once, "token" one, "chunk:N" N.
Result<std::size_t> chunk_of(const std::string& mode, std::size_t num_tokens) {
  if (mode == "prefill") return num_tokens;
  if (mode == "token") return std::size_t{1};
  std::size_t chunk = 0;
  if (mode.starts_with("chunk:") && CLI::detail::lexical_cast(mode.substr(6), chunk) && chunk > 0) return chunk;
  throw CLI::ValidationError("--mode", "must be prefill, token or chunk:N, not " + mode);
}

Status logits(const LogitsOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(options.model));
  MLXR_ASSIGN_OR_RETURN(const std::vector<TokenId> ids, read_ids(options.ids_file));
  MLXR_ASSIGN_OR_RETURN(const std::size_t chunk, chunk_of(options.mode, ids.size()));
  ModelOptions model_options = options.model_options;
  model_options.tokenizer = false;
  model_options.context = static_cast<std::int64_t>(ids.size());
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, model_options));
  MLXR_ASSIGN_OR_RETURN(const SequenceId sequence, model->cache().open());
  Progress progress({.label = "Computing", .total = ids.size(), .unit = ProgressUnit::kTokens});
  const std::int64_t vocab = model->model().config().vocab_size;

  SafetensorsWriter writer(options.out);
  MLXR_RETURN_IF_ERROR(writer.add_tensor("logits", QuantType::kF32, {static_cast<std::int64_t>(ids.size()), vocab}));
  std::vector<float> rows;
  for (std::size_t start = 0; start < ids.size(); start += chunk) {
    const auto piece_ids = std::span(ids).subspan(start, std::min(chunk, ids.size() - start));
    const SequencePiece piece{sequence, piece_ids, RowsWanted::kAll};
    MLXR_RETURN_IF_ERROR(model->runner().run({&piece, 1}, rows));
    MLXR_RETURN_IF_ERROR(writer.write_tensor_data(std::as_bytes(std::span(rows))));
    progress.update(start + piece_ids.size());
  }
  MLXR_RETURN_IF_ERROR(writer.finish());
  progress.finish();
  if (output.json()) {
    output.write_json({{"file", options.out}, {"tokens", ids.size()}, {"vocab", vocab}});
  } else {
    output.line(fmt::format("{}: logits [{}, {}]", options.out, ids.size(), vocab));
  }
  return {};
}

}  // namespace

CommandBody declare_logits(CLI::App& app) {
  auto options = std::make_shared<LogitsOptions>();
  options->model_options.kv_type = "f32";
  app.add_option("model", options->model, "GGUF file, Hugging Face folder, or name of a model")->required();
  app.add_option("--ids-file", options->ids_file, "JSON array of token ids")->required();
  app.add_option("--out", options->out, "safetensors file to write: f32 logits [tokens, vocab]")->required();
  app.add_option("--mode", options->mode, "how the ids are fed: prefill, token or chunk:N")->capture_default_str();
  add_backend_options(app, options->model_options);
  add_kv_type_option(app, options->model_options);
  return [options](Output& output) { return logits(*options, output); };
}

}  // namespace mlxr::cli
