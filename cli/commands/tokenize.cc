// mlxr tokenize MODEL [TEXT|-]: the token ids of a text.

#include <unistd.h>

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/input.h"
#include "core/runtime/model_path.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr::cli {
namespace {

struct TokenizeOptions {
  std::string model;
  std::string text = "-";
  std::string pre;
  bool add_special = false;
  bool no_special = false;
};

Status tokenize(const TokenizeOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(options.model));
  MLXR_ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(path, {.pre = options.pre}));
  MLXR_ASSIGN_OR_RETURN(const std::string text, argument_or_input(options.text));
  const std::vector<TokenId> ids =
      tokenizer->encode(text, {.add_special = options.add_special, .parse_special = !options.no_special});
  if (output.json()) {
    nlohmann::ordered_json pieces = nlohmann::ordered_json::array();
    for (const TokenId id : ids)
      pieces.push_back(tokenizer->piece(id));
    output.write_json_line({{"ids", ids}, {"pieces", std::move(pieces)}});
    return {};
  }
  Table table{.header = {"id", "piece"}, .align = {Align::kRight, Align::kLeft}, .rows = {}};
  for (const TokenId id : ids)
    table.rows.push_back({std::to_string(id), printable(tokenizer->piece(id))});
  output.table(table);
  return {};
}

}  // namespace

CommandBody declare_tokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  app.add_option(
         "model", options->model,
         "model, or a bare tokenizer: tokenizer.json, SentencePiece or tiktoken file, vocabulary-only GGUF, or a "
         "folder with one")
      ->required();
  app.add_option("text", options->text, "text; - or nothing: standard input");
  auto* add = app.add_flag("--add-special", options->add_special, "add BOS and EOS as the model wants them");
  app.add_flag("--no-special", options->no_special, "take special tokens in the text for plain text")->excludes(add);
  app.add_option("--pre", options->pre,
                 "pre-tokenizer by GGUF's name (gpt-2, llama-bpe, qwen2 ...); rank files need it");
  return [options](Output& output) { return tokenize(*options, output); };
}

}  // namespace mlxr::cli
