// mlxr detokenize MODEL IDS: the text of token ids.

#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/input.h"
#include "core/runtime/model_path.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr::cli {
namespace {

struct DetokenizeOptions {
  std::string model;
  std::vector<std::string> ids;
  std::string pre;
  bool skip_special = false;
};

// Ids in any of the forms that people and programs write: "1 2 3", "1,2,3", "[1, 2, 3]".
Result<std::vector<TokenId>> parse_ids(std::string_view text) {
  std::vector<TokenId> ids;
  constexpr std::string_view kSeparators = " \t\r\n,[]";
  while (true) {
    const std::size_t start = text.find_first_not_of(kSeparators);
    if (start == std::string_view::npos) return ids;
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find_first_of(kSeparators));
    TokenId id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size() || id < 0) {
      return invalid_argument(fmt::format("\"{}\" is not a token id", printable(word)));
    }
    ids.push_back(id);
    text.remove_prefix(word.size());
  }
}

Status detokenize(const DetokenizeOptions& options, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(options.model));
  MLXR_ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(path, {.pre = options.pre}));
  std::string joined;
  for (const std::string& word : options.ids)
    joined += word + " ";
  if (options.ids.empty() || (options.ids.size() == 1 && options.ids[0] == "-")) {
    MLXR_ASSIGN_OR_RETURN(joined, argument_or_input("-"));
  }
  MLXR_ASSIGN_OR_RETURN(const std::vector<TokenId> ids, parse_ids(joined));
  for (const TokenId id : ids) {
    if (static_cast<std::size_t>(id) >= tokenizer->vocab_size()) {
      return invalid_argument(fmt::format("token id {} is outside the vocabulary of {}", id, tokenizer->vocab_size()));
    }
  }
  const std::string text = tokenizer->decode(ids, {.skip_special = options.skip_special});
  if (output.json()) {
    output.write_json_line({{"text", text}});
  } else {
    output.write(text);
  }
  return {};
}

}  // namespace

CommandBody declare_detokenize(CLI::App& app) {
  auto options = std::make_shared<DetokenizeOptions>();
  app.add_option("model", options->model, "model, or a bare tokenizer as for mlxr tokenize")->required();
  app.add_option("ids", options->ids, "token ids, or a JSON array of them; - or nothing: standard input");
  app.add_option("--pre", options->pre, "pre-tokenizer by GGUF's name; rank files need it");
  app.add_flag("--skip-special", options->skip_special, "leave special tokens out of the text");
  return [options](Output& output) { return detokenize(*options, output); };
}

}  // namespace mlxr::cli
