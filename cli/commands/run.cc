// mlxr run [MODEL] [PROMPT]: one answer, or a conversation.

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/daemon_chat.h"
#include "cli/daemon_client.h"
#include "cli/input.h"
#include "cli/repl/repl.h"
#include "cli/run_options.h"
#include "cli/transfer_progress.h"
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

bool is_path(const std::string& model) {
  std::error_code error;
  return model.find('/') != std::string::npos && std::filesystem::exists(model, error);
}

// In this process: what --local says, files, and what only this process can be told. Else in the daemon, if one
// listens; without one, a model that came with the program or lies in a model folder needs none either. Any other name
// is for the daemon to find, which is then started.
Result<bool> runs_in_daemon(const RunOptions& options, const std::string& name) {
  const bool tied = options.model_options.num_threads > 0 || options.model_options.backend != ModelOptions{}.backend ||
                    options.model_options.kv_type != ModelOptions{}.kv_type;
  if (options.local || tied) return false;
  MLXR_ASSIGN_OR_RETURN(const DaemonAddress address, daemon_address());
  if (!address.local()) return true;
  if (is_path(name)) return false;
  if (daemon_listens(address)) return true;
  if (!options.format.empty() || !options.think.empty()) return true;
  return !resolve_model(name).ok();
}

Status answer_once(Chat& chat, const std::string& prompt, const RunOptions& options, const ReplOptions& shown,
                   Output& output) {
  if (prompt.empty()) return invalid_argument("the prompt is empty");
  Interrupt interrupt;
  AnswerOptions answer_options = shown.answer;
  answer_options.stream = !output.json();
  MLXR_ASSIGN_OR_RETURN(const Answer answer, show_answer(chat, prompt, interrupt, answer_options, output));
  if (output.json()) output.write_json(answer_json(answer, shown.model));
  for (const std::string& warning : answer.warnings)
    fmt::print(stderr, "mlxr: warning: {}\n", printable(warning));
  if (options.verbose) print_figures(answer, shown.load_ms + answer.load_ms);
  if (answer.finish_reason == FinishReason::kContextFull)
    fmt::print(stderr, "mlxr: the context is full: --ctx N makes more room\n");
  if (answer.finish_reason == FinishReason::kCancelled) {
    output.flush();
    ::_exit(kExitInterrupted);
  }
  return {};
}

Status talk(Chat& chat, const RunOptions& options, const std::string& prompt, const ReplOptions& shown,
            Output& output) {
  chat.system() = options.system;
  MLXR_RETURN_IF_ERROR(chat.set_format(options.format));
  MLXR_RETURN_IF_ERROR(chat.set_think(options.think));
  if (prompt.empty() && input_is_terminal() && !output.json()) return run_repl(chat, shown, output);
  return answer_once(chat, prompt, options, shown, output);
}

Status run_in_daemon(const RunOptions& options, const std::string& name, nlohmann::ordered_json tools,
                     const std::string& prompt, ReplOptions shown, Output& output) {
  DaemonChatOptions chat_options;
  chat_options.model = name;
  chat_options.tools = std::move(tools);
  chat_options.logit_bias = logit_bias_json(options);
  chat_options.raw = options.raw;
  chat_options.keep_alive = options.keep_alive;
  chat_options.context = options.model_options.context;
  const auto parameters = given_parameters(options);
  MLXR_ASSIGN_OR_RETURN(DaemonClient client, DaemonClient::connect(DaemonClient::Start::kWhenAbsent));
  MLXR_ASSIGN_OR_RETURN(const bool there, daemon_has_model(client, name));
  if (!there) {
    const nlohmann::ordered_json body = {{"model", name}, {"insecure", options.insecure}, {"stream", true}};
    Output quiet(stderr, {});
    MLXR_RETURN_IF_ERROR(follow_transfer(client, "/api/pull", body, quiet));
  }
  DaemonChat chat(client, std::move(chat_options));
  for (const auto& [parameter, value] : parameters)
    MLXR_RETURN_IF_ERROR(chat.set_parameter(parameter, value));
  return talk(chat, options, prompt, shown, output);
}

Status run_here(const RunOptions& options, const std::string& name, nlohmann::ordered_json tools,
                const std::string& prompt, ReplOptions shown, Output& output) {
  const auto start = std::chrono::steady_clock::now();
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(name));
  MLXR_ASSIGN_OR_RETURN(const auto model, LoadedModel::open(path, options.model_options));
  for (const std::string& warning : model->warnings())
    fmt::print(stderr, "mlxr: warning: {}\n", printable(warning));
  ConversationOptions conversation_options;
  conversation_options.generate = {
      .sampling = sampling_params(options, *model), .max_tokens = options.max_tokens, .stop = options.stop};
  conversation_options.tools = std::move(tools);
  conversation_options.raw = options.raw;
  MLXR_ASSIGN_OR_RETURN(const auto conversation, Conversation::make(*model, std::move(conversation_options)));
  shown.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return talk(*conversation, options, prompt, shown, output);
}

Status run(const RunOptions& options, Output& output) {
  const std::string name = options.model.empty() ? kStarterModel : options.model;
  MLXR_ASSIGN_OR_RETURN(nlohmann::ordered_json tools, read_tools(options.tools_file));
  MLXR_ASSIGN_OR_RETURN(const std::string prompt, prompt_of(options));
  MLXR_ASSIGN_OR_RETURN(const bool in_daemon, runs_in_daemon(options, name));
  ReplOptions shown;
  shown.model = name;
  shown.verbose = options.verbose;
  shown.answer.hide_thinking = options.hide_thinking;
  shown.answer.wrap = !options.no_word_wrap;
  return (in_daemon ? run_in_daemon : run_here)(options, name, std::move(tools), prompt, shown, output);
}

}  // namespace

CommandBody declare_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  declare_run_options(app, *options);
  return [options](Output& output) { return run(*options, output); };
}

}  // namespace mlxr::cli
