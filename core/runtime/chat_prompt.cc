#include "core/runtime/chat_prompt.h"

#include <fmt/core.h>

#include "core/io/gguf.h"
#include "core/io/hf_folder.h"
#include "core/io/open_weights.h"
#include "core/runtime/tokenizer/load_tokenizer.h"

namespace mlxr {
namespace {

Result<std::string> template_source(const WeightSource& source) {
  if (const auto* folder = dynamic_cast<const HfFolder*>(&source)) {
    const std::string* text = folder->chat_template();
    if (text == nullptr) return not_found(folder->path() + ": no chat template");
    return *text;
  }
  if (const auto* file = dynamic_cast<const GgufFile*>(&source)) {
    const auto text = file->metadata().get_string("tokenizer.chat_template");
    if (!text) return not_found(file->path() + ": no chat template");
    return std::string(*text);
  }
  return not_found("bare tensors have no chat template");
}

nlohmann::ordered_json special_strings(const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  const std::pair<const char*, std::optional<TokenId>> names[] = {
      {"bos_token", special.bos}, {"eos_token", special.eos}, {"unk_token", special.unk}, {"pad_token", special.pad}};
  for (const auto& [name, id] : names) {
    if (id) out[name] = std::string(tokenizer.piece(*id));
  }
  return out;
}

Status check_messages(const nlohmann::ordered_json& messages) {
  if (!messages.is_array()) return invalid_argument("the messages are not a list");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& message = messages[i];
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
      return invalid_argument(fmt::format("message {} is not an object with a role", i));
    }
  }
  return {};
}

}  // namespace

Result<ChatPrompt> ChatPrompt::open(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(const auto source, open_weights(path));
  MLXR_ASSIGN_OR_RETURN(const auto tokenizer, load_tokenizer(path));
  return make(*source, *tokenizer);
}

Result<ChatPrompt> ChatPrompt::make(const WeightSource& source, const Tokenizer& tokenizer) {
  MLXR_ASSIGN_OR_RETURN(std::string text, template_source(source));
  MLXR_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::parse(text));
  return ChatPrompt(std::move(text), std::move(parsed), special_strings(tokenizer));
}

Result<ChatPrompt> ChatPrompt::with_template(const std::string& source) const {
  MLXR_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::parse(source));
  return ChatPrompt(source, std::move(parsed), tokens_);
}

Result<ChatPrompt> ChatPrompt::from_source(const std::string& source, const Tokenizer& tokenizer) {
  MLXR_ASSIGN_OR_RETURN(ChatTemplate parsed, ChatTemplate::parse(source));
  return ChatPrompt(source, std::move(parsed), special_strings(tokenizer));
}

Result<std::string> ChatPrompt::render(const ChatRequest& request) const {
  MLXR_RETURN_IF_ERROR(check_messages(request.messages));
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  variables["documents"] = nullptr;
  if (request.variables.is_object()) variables.update(request.variables);
  variables.update(tokens_);
  variables["messages"] = request.messages;
  variables["tools"] = request.tools;
  variables["add_generation_prompt"] = request.add_generation_prompt;
  return template_.render(variables);
}

}  // namespace mlxr
