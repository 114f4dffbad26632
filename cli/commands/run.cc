// mlxr run [MODEL] [PROMPT]: one answer, or a conversation.

#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/repl/repl.h"
#include "cli/run_options.h"
#include "core/io/json_file.h"
#include "core/runtime/model_path.h"

namespace mlxr::cli {
namespace {

constexpr int kExitInterrupted = 130;

// The words of the prompt, and what is piped in behind them.
Result<std::string> prompt_of(const RunOptions& options) {
  std::string prompt;
  for (const std::string& word : options.prompt)
    prompt += (prompt.empty() ? "" : " ") + word;
  if (input_is_terminal()) return prompt;
  MLXR_ASSIGN_OR_RETURN(std::string piped, read_standard_input());
  // Raw prompts are continued where they end; of a message the last line feed is no part.
  if (!options.raw && piped.ends_with('\n')) piped.pop_back();
  return prompt.empty() || piped.empty() ? prompt + piped : prompt + "\n\n" + piped;
}

Result<nlohmann::ordered_json> read_tools(const std::string& path) {
  if (path.empty()) return nlohmann::ordered_json();
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(path));
  MLXR_RETURN_IF_ERROR(parse_json(text, path).status());
  nlohmann::ordered_json tools = nlohmann::ordered_json::parse(text);
  if (!tools.is_array() || tools.empty()) return invalid_argument(path + ": not a list of tools");
  return tools;
}

Status answer_once(Conversation& conversation, const std::string& prompt, const RunOptions& options,
                   const std::string& model, double load_ms, Output& output) {
  if (prompt.empty()) return invalid_argument("the prompt is empty");
  Interrupt interrupt;
  MLXR_ASSIGN_OR_RETURN(const GenerateResult result,
                        show_answer(conversation, prompt, interrupt, {.stream = !output.json()}, output));
  if (output.json()) output.write_json(answer_json(result, model));
  if (options.verbose) print_figures(result, load_ms);
  if (result.finish_reason == FinishReason::kContextFull) {
    fmt::print(stderr, "mlxr: the context of {} tokens is full: --ctx N makes more room\n",
               conversation.model().context());
  }
  if (result.finish_reason == FinishReason::kCancelled) {
    output.flush();
    ::_exit(kExitInterrupted);
  }
  return {};
}

Status run(const RunOptions& options, Output& output) {
  const auto start = std::chrono::steady_clock::now();
  const std::string name = options.model.empty() ? kStarterModel : options.model;
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(name));
  MLXR_ASSIGN_OR_RETURN(nlohmann::ordered_json tools, read_tools(options.tools_file));
  MLXR_ASSIGN_OR_RETURN(const std::string prompt, prompt_of(options));
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, options.model_options));
  for (const std::string& warning : model->warnings())
    fmt::print(stderr, "mlxr: warning: {}\n", printable(warning));
  ConversationOptions conversation_options;
  conversation_options.generate = {
      .sampling = sampling_params(options, *model), .max_tokens = options.max_tokens, .stop = options.stop};
  conversation_options.system = options.system;
  conversation_options.tools = std::move(tools);
  conversation_options.raw = options.raw;
  MLXR_ASSIGN_OR_RETURN(const auto conversation, Conversation::make(*model, std::move(conversation_options)));
  const double load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (prompt.empty() && input_is_terminal() && !output.json()) {
    return run_repl(*conversation, {.model = name, .load_ms = load_ms, .verbose = options.verbose}, output);
  }
  return answer_once(*conversation, prompt, options, name, load_ms, output);
}

}  // namespace

CommandBody declare_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  declare_run_options(app, *options);
  return [options](Output& output) { return run(*options, output); };
}

}  // namespace mlxr::cli
