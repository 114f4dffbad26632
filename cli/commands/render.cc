// mlxr render MODEL --messages FILE, or render --template FILE --vars FILE: the text that a chat template makes.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/io/json_file.h"
#include "core/runtime/chat_prompt.h"
#include "core/runtime/model_path.h"
#include "core/runtime/template/chat_template.h"

namespace mlxr::cli {
namespace {

struct RenderCommand {
  std::string model;
  std::string messages;
  std::string tools;
  std::string template_file;
  std::string vars;
  bool no_generation_prompt = false;
};

Result<nlohmann::ordered_json> read_ordered(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const std::string text, read_text_file(path));
  MLXR_RETURN_IF_ERROR(parse_json(text, path).status());  // for its limits and its errors
  return nlohmann::ordered_json::parse(text);
}

Result<std::string> render_bare(const RenderCommand& command) {
  MLXR_ASSIGN_OR_RETURN(const std::string source, read_text_file(command.template_file));
  MLXR_ASSIGN_OR_RETURN(const ChatTemplate chat_template, ChatTemplate::parse(source));
  MLXR_ASSIGN_OR_RETURN(const nlohmann::ordered_json variables, read_ordered(command.vars));
  return chat_template.render(variables);
}

Result<std::string> render_model(const RenderCommand& command) {
  MLXR_ASSIGN_OR_RETURN(const std::string path, resolve_model(command.model));
  MLXR_ASSIGN_OR_RETURN(const ChatPrompt prompt, ChatPrompt::open(path));
  ChatRequest request;
  MLXR_ASSIGN_OR_RETURN(request.messages, read_ordered(command.messages));
  // A whole request body is as good as its messages.
  if (request.messages.is_object() && request.messages.contains("messages")) {
    if (request.messages.contains("tools")) request.tools = request.messages["tools"];
    request.messages = nlohmann::ordered_json(request.messages["messages"]);
  }
  if (!command.tools.empty()) {
    MLXR_ASSIGN_OR_RETURN(request.tools, read_ordered(command.tools));
  }
  request.add_generation_prompt = !command.no_generation_prompt;
  return prompt.render(request);
}

Status render(const RenderCommand& command, Output& output) {
  MLXR_ASSIGN_OR_RETURN(const std::string text,
                        command.template_file.empty() ? render_model(command) : render_bare(command));
  if (output.json()) {
    output.write_json_line({{"text", text}});
  } else {
    output.write(text);
  }
  return {};
}

}  // namespace

CommandBody declare_render(CLI::App& app) {
  auto command = std::make_shared<RenderCommand>();
  auto* model = app.add_option("model", command->model, "model whose chat template renders");
  auto* messages =
      app.add_option("--messages", command->messages, "JSON file: a list of messages, or an object with one");
  app.add_option("--tools", command->tools, "JSON file: a list of tools")->needs(messages);
  app.add_flag("--no-generation-prompt", command->no_generation_prompt, "do not open the assistant's turn")
      ->needs(messages);
  auto* file = app.add_option("--template", command->template_file, "a template file by itself")->excludes(model);
  auto* vars = app.add_option("--vars", command->vars, "JSON file: the template's variables")->needs(file);
  file->needs(vars)->excludes(messages);
  messages->needs(model);
  return [command](Output& output) {
    if (command->template_file.empty() && command->messages.empty()) {
      throw CLI::ValidationError("render", "give MODEL --messages FILE, or --template FILE --vars FILE");
    }
    return render(*command, output);
  };
}

}  // namespace mlxr::cli
