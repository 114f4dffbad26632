#include "cli/conversation.h"

#include <fmt/core.h>

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

Result<GenerateResult> Conversation::say(const std::string& message, const Generator::Callbacks& callbacks) {
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
  Result<GenerateResult> result = generator_->generate(prompt, options_.generate, callbacks);
  if (!result.ok()) {
    history_.erase(history_.size() - 1);
    return result;
  }
  history_.push_back({{"role", "assistant"}, {"content", result->text}});
  return result;
}

}  // namespace mlxr::cli
