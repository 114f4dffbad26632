#include "cli/conversation.h"

#include <fmt/core.h>

#include "cli/output.h"
#include "cli/repl/settings.h"

namespace mlxr::cli {

Result<std::unique_ptr<Conversation>> Conversation::make(LoadedModel& model, ConversationOptions options) {
  const ChatPrompt* prompt = model.chat_prompt();
  if (!options.tools.is_null() && (options.raw || prompt == nullptr || !prompt->supports_tools())) {
    return unsupported("tools are given, but the model's chat template does not know them");
  }
  MLXR_ASSIGN_OR_RETURN(std::unique_ptr<Generator> generator, Generator::make(model));
  return std::unique_ptr<Conversation>(new Conversation(model, std::move(options), std::move(generator)));
}

void Conversation::clear() {
  history_ = nlohmann::ordered_json::array();
  generator_->clear();
}

// A model without a chat template completes what was said.
Result<std::string> Conversation::prompt_text() const {
  const ChatPrompt* prompt = model_.chat_prompt();
  if (options_.raw || prompt == nullptr) {
    std::string text = options_.system;
    for (const auto& message : history_)
      text += message["content"].get_ref<const std::string&>();
    return text;
  }
  ChatRequest request;
  if (!options_.system.empty()) request.messages.push_back({{"role", "system"}, {"content", options_.system}});
  for (const auto& message : history_)
    request.messages.push_back(message);
  request.tools = options_.tools;
  return prompt->render(request);
}

Result<Answer> Conversation::say(const std::string& message, const AnswerCallbacks& callbacks) {
  history_.push_back({{"role", "user"}, {"content", message}});
  Result<std::string> text = prompt_text();
  if (!text.ok()) {
    history_.erase(history_.size() - 1);
    return text.status();
  }
  const Tokenizer& tokenizer = *model_.tokenizer();
  const bool templated = !options_.raw && model_.chat_prompt() != nullptr;
  // A chat template writes BOS itself where the model wants it.
  std::vector<TokenId> prompt = tokenizer.encode(*text, {.add_special = !templated});
  if (templated && tokenizer.adds_bos() && tokenizer.special().bos &&
      (prompt.empty() || prompt[0] != *tokenizer.special().bos)) {
    prompt.insert(prompt.begin(), *tokenizer.special().bos);
  }
  Generator::Callbacks generator_callbacks;
  generator_callbacks.on_text = callbacks.on_text;
  generator_callbacks.on_prefill = callbacks.on_prefill;
  generator_callbacks.cancel = callbacks.cancel;
  Result<GenerateResult> result = generator_->generate(prompt, options_.generate, generator_callbacks);
  if (!result.ok()) {
    history_.erase(history_.size() - 1);
    return result.status();
  }
  history_.push_back({{"role", "assistant"}, {"content", result->text}});
  Answer answer;
  answer.text = std::move(result->text);
  answer.finish_reason = result->finish_reason;
  answer.prompt_tokens = result->prompt_tokens;
  answer.cached_tokens = result->cached_tokens;
  answer.generated_tokens = static_cast<std::int64_t>(result->tokens.size());
  answer.prompt_ms = result->prompt_ms;
  answer.generation_ms = result->generation_ms;
  return answer;
}

void Conversation::set_messages(nlohmann::ordered_json messages) {
  generator_->clear();
  history_ = std::move(messages);
}

Status Conversation::set_parameter(std::string_view name, std::string_view value) {
  return cli::set_parameter(options_.generate, name, value);
}

std::vector<ParameterText> Conversation::parameters() const {
  return parameter_texts(options_.generate);
}

Status Conversation::set_format(const std::string& format) {
  if (format.empty()) return {};
  return unsupported("answers in a format come through the daemon: leave --local away");
}

Status Conversation::set_think(const std::string& think) {
  if (think.empty()) return {};
  return unsupported("thinking is switched through the daemon: leave --local away");
}

Result<std::vector<std::pair<std::string, std::string>>> Conversation::info() {
  const ModelConfig& config = model_.model().config();
  return std::vector<std::pair<std::string, std::string>>{
      {"file", model_.path()},
      {"architecture", config.architecture},
      {"layers", std::to_string(config.num_layers)},
      {"hidden", std::to_string(config.hidden_size)},
      {"vocabulary", std::to_string(config.vocab_size)},
      {"weights", format_bytes(static_cast<double>(model_.weight_bytes()))},
      {"context", fmt::format("{} of {} tokens", model_.context(), config.context_length)},
      {"KV cache", fmt::format("{} as {}", format_bytes(static_cast<double>(model_.kv_layout().bytes())),
                               kv_type_info(model_.kv_layout().type).name)},
      {"backend", model_.backend().description()}};
}

Result<std::string> Conversation::text_of_model(std::string_view what) {
  if (what != "template") return not_found(fmt::format("a model file has no {}: models of the daemon may", what));
  const ChatPrompt* prompt = model_.chat_prompt();
  if (prompt == nullptr) return not_found("this model has no chat template");
  return std::string(prompt->source());
}

}  // namespace mlxr::cli
