#include "daemon/service/prompt_preparation.h"

#include <algorithm>

#include <fmt/core.h>

namespace mlxr {
namespace {

using nlohmann::ordered_json;

bool wants_tools(const ChatInput& input) {
  return input.tools.is_array() && !input.tools.empty() && input.tool_choice != ToolChoice::kNone;
}

std::string text_field(const ordered_json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The conversation with what the Modelfile puts before it. Templates expect a text where there is none.
ordered_json conversation(const ResolvedModel& resolved, const ChatInput& input) {
  ordered_json messages = ordered_json::array();
  const bool has_system =
      !input.messages.empty() && input.messages[0].is_object() && text_field(input.messages[0], "role") == "system";
  if (!has_system && !resolved.system.empty()) messages.push_back({{"role", "system"}, {"content", resolved.system}});
  std::size_t next = 0;
  if (has_system) messages.push_back(input.messages[next++]);
  if (resolved.messages.is_array()) {
    for (const auto& message : resolved.messages)
      messages.push_back(message);
  }
  for (; next < input.messages.size(); ++next)
    messages.push_back(input.messages[next]);
  for (auto& message : messages) {
    if (message.is_object() && (!message.contains("content") || message["content"].is_null())) message["content"] = "";
  }
  return messages;
}

Status check_chat(const ModelText& model, const ResolvedModel& resolved, const ChatInput& input) {
  if (!model.chat) return unsupported(fmt::format("\"{}\" has no chat template", resolved.name));
  if (!input.messages.is_array()) return invalid_argument("messages: not a list");
  if (wants_tools(input) && !model.chat->supports_tools()) {
    return unsupported(fmt::format("tools: the chat template of \"{}\" does not know them", resolved.name));
  }
  if (input.tool_choice == ToolChoice::kRequired || input.tool_choice == ToolChoice::kNamed) {
    if (!input.tools.is_array() || input.tools.empty()) return invalid_argument("tool_choice: there are no tools");
    if (!model.format.calls_tools()) {
      return unsupported(fmt::format(
          "tool_choice: how \"{}\" writes tool calls is not known, so that none can be forced", resolved.name));
    }
  }
  if (input.think.value_or(false) && !model.thinks()) {
    return unsupported(fmt::format("think: \"{}\" does not support thinking", resolved.name));
  }
  if (input.reasoning_budget >= 0 && model.thinks() && !model.format.reasons()) {
    return unsupported(fmt::format("reasoning_budget: how \"{}\" marks its reasoning is not known", resolved.name));
  }
  return {};
}

// The variables that are about thinking.
ordered_json variables_of(const ModelText& model, const ChatInput& input, std::vector<std::string>& warnings) {
  ordered_json variables =
      input.template_variables.is_object() ? input.template_variables : ordered_json(ordered_json::object());
  if (input.think) {
    variables["enable_thinking"] = *input.think;
    variables["thinking"] = *input.think;
  }
  if (!input.reasoning_effort.empty()) {
    variables["reasoning_effort"] = input.reasoning_effort;
    if (!model.chat->mentions("reasoning_effort")) {
      warnings.push_back("reasoning_effort is not honoured: the chat template takes none");
    }
  }
  if (input.template_variables.is_object()) {
    for (const auto& [name, value] : input.template_variables.items()) {
      if (!model.chat->mentions(name)) {
        warnings.push_back(fmt::format("chat_template_kwargs.{} is not honoured: the chat template takes none", name));
      }
    }
  }
  return variables;
}

// The text up to the end of the last message, without what the template puts behind it.
Result<std::string> cut_behind(std::string text, const ordered_json& messages) {
  if (messages.empty()) return invalid_argument("continue_final_message: there is no message");
  std::string last = text_field(messages.back(), "content");
  while (!last.empty() && (last.back() == '\n' || last.back() == ' '))
    last.pop_back();
  if (last.empty()) return invalid_argument("continue_final_message: the last message has no text");
  const std::size_t found = text.rfind(last);
  if (found == std::string::npos) {
    return unsupported("continue_final_message: the chat template changes the last message");
  }
  text.resize(found + last.size());
  return text;
}

Result<std::string> render(const ModelText& model, const ChatInput& input, const ordered_json& messages,
                           const ordered_json& variables) {
  ChatRequest request{.messages = messages,
                      .tools = wants_tools(input) ? input.tools : ordered_json(nullptr),
                      .add_generation_prompt = input.add_generation_prompt && !input.continue_final_message,
                      .variables = variables};
  MLXR_ASSIGN_OR_RETURN(std::string text, model.chat->render(request));
  return input.continue_final_message ? cut_behind(std::move(text), messages) : Result<std::string>(std::move(text));
}

// A chat template writes BOS itself where the model wants it.
std::vector<TokenId> encode_chat(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<TokenId> tokens = tokenizer.encode(text);
  const auto bos = tokenizer.special().bos;
  if (tokenizer.adds_bos() && bos && (tokens.empty() || tokens[0] != *bos)) tokens.insert(tokens.begin(), *bos);
  return tokens;
}

// Room that a shortened prompt leaves for an answer.
std::int64_t room_for_answer(const GenerateCall& call, std::int64_t context) {
  const std::int64_t most = std::max<std::int64_t>(context / 4, 1);
  return call.max_tokens < 0 ? most : std::clamp<std::int64_t>(call.max_tokens, 1, most);
}

bool too_long(const std::vector<TokenId>& tokens, std::int64_t context) {
  return context > 0 && static_cast<std::int64_t>(tokens.size()) >= context;
}

struct Rendered {
  std::string text;
  std::vector<TokenId> tokens;
};

// A conversation whose oldest messages were left out.
class ShorterChat {
 public:
  ShorterChat(const ModelText& model, const ChatInput& input, const ordered_json& messages,
              const ordered_json& variables)
      : model_(model), input_(input), messages_(messages), variables_(variables) {
    kept_first_ = !messages.empty() && text_field(messages[0], "role") == "system" ? 1 : 0;
  }

  std::size_t most() const { return messages_.size() > kept_first_ + 1 ? messages_.size() - kept_first_ - 1 : 0; }

  Result<Rendered> without(std::size_t dropped) const {
    ordered_json messages = ordered_json::array();
    for (std::size_t i = 0; i < kept_first_; ++i)
      messages.push_back(messages_[i]);
    for (std::size_t i = kept_first_ + dropped; i < messages_.size(); ++i)
      messages.push_back(messages_[i]);
    MLXR_ASSIGN_OR_RETURN(std::string text, render(model_, input_, messages, variables_));
    std::vector<TokenId> tokens = encode_chat(*model_.tokenizer, text);
    return Rendered{std::move(text), std::move(tokens)};
  }

  // A tool's answer does not stay without the call that it answers.
  std::size_t whole_turns(std::size_t dropped) const {
    while (dropped < most() && text_field(messages_[kept_first_ + dropped], "role") == "tool")
      ++dropped;
    return dropped;
  }

 private:
  const ModelText& model_;
  const ChatInput& input_;
  const ordered_json& messages_;
  const ordered_json& variables_;
  std::size_t kept_first_ = 0;
};

// The fewest messages go that make it fit; fewer tokens with each that goes, so that halving finds them.
Result<bool> shorten(const ShorterChat& chat, std::int64_t fitting, Rendered& rendered, std::size_t& dropped) {
  std::size_t low = 1;
  std::size_t high = chat.most();
  if (high == 0) return false;
  const auto fits = [&](std::size_t count) -> Result<bool> {
    MLXR_ASSIGN_OR_RETURN(Rendered shorter, chat.without(count));
    if (static_cast<std::int64_t>(shorter.tokens.size()) > fitting) return false;
    rendered = std::move(shorter);
    dropped = count;
    return true;
  };
  MLXR_ASSIGN_OR_RETURN(const bool possible, fits(high));
  if (!possible) return false;
  while (low < high) {
    const std::size_t middle = chat.whole_turns(low + (high - low) / 2);
    if (middle >= high) break;
    MLXR_ASSIGN_OR_RETURN(const bool enough, fits(middle));
    if (enough) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return true;
}

Status read_tools(const ChatInput& input, PreparedPrompt& prompt) {
  for (std::size_t i = 0; i < input.tools.size(); ++i) {
    const ordered_json& tool = input.tools[i];
    const auto function = tool.is_object() ? tool.find("function") : tool.end();
    if (!tool.is_object() || function == tool.end() || !function->is_object() ||
        text_field(*function, "name").empty()) {
      return invalid_argument(fmt::format("tools[{}]: not a function with a name", i));
    }
    const std::string name = text_field(*function, "name");
    if (input.tool_choice == ToolChoice::kNamed && name != input.tool_name) continue;
    const auto parameters = function->find("parameters");
    prompt.tools.push_back({name, parameters == function->end() || parameters->is_null() ? "" : parameters->dump()});
  }
  if (prompt.tools.empty()) {
    return invalid_argument(fmt::format("tool_choice: there is no tool \"{}\"", input.tool_name));
  }
  prompt.calls_required = input.tool_choice == ToolChoice::kRequired || input.tool_choice == ToolChoice::kNamed;
  return {};
}

std::string plain_mark(const ModelText& model, const std::string& mark) {
  const TextMark read = ChatFormat::text_mark(mark);
  return read.token ? std::string(model.tokenizer->piece(*read.token)) : read.text;
}

// Whether the answer begins in reasoning, and whether it may have any.
void note_reasoning(const ModelText& model, const ChatInput& input, PreparedPrompt& prompt) {
  if (!model.format.reasons() || input.continue_final_message) return;
  const std::string end = plain_mark(model, model.format.reasoning_end);
  prompt.reasoning_open = prompt_opens_reasoning(model.chat->source(), prompt.text);
  if (prompt.reasoning_open && input.think == false) {
    // A template without a switch: what it opened is closed again.
    prompt.text += "\n" + end + "\n\n";
    prompt.tokens = encode_chat(*model.tokenizer, prompt.text);
    prompt.reasoning_open = false;
    return;
  }
  const std::size_t last = prompt.text.find_last_not_of(" \t\r\n");
  const bool closed = last != std::string::npos && std::string_view(prompt.text).substr(0, last + 1).ends_with(end);
  prompt.may_reason = !prompt.reasoning_open && !closed;
  if (input.think == false && prompt.may_reason && !model.has_thinking_switch()) {
    prompt.warnings.push_back("think: the chat template has no switch, so that the model may think all the same");
  }
}

Result<PreparedPrompt> prepare_chat(const ModelText& model, const ResolvedModel& resolved, const GenerateCall& call,
                                    const ChatInput& input, std::int64_t context) {
  MLXR_RETURN_IF_ERROR(check_chat(model, resolved, input));
  PreparedPrompt prompt;
  const ordered_json messages = conversation(resolved, input);
  const ordered_json variables = variables_of(model, input, prompt.warnings);
  MLXR_ASSIGN_OR_RETURN(prompt.text, render(model, input, messages, variables));
  prompt.tokens = encode_chat(*model.tokenizer, prompt.text);
  if (too_long(prompt.tokens, context)) {
    const std::size_t tokens = prompt.tokens.size();
    Rendered rendered;
    std::size_t dropped = 0;
    bool fits = false;
    if (call.overflow == Overflow::kTruncate) {
      const ShorterChat chat(model, input, messages, variables);
      MLXR_ASSIGN_OR_RETURN(fits, shorten(chat, context - room_for_answer(call, context), rendered, dropped));
    }
    prompt.exceeds_context = !fits;
    if (fits) {
      prompt.text = std::move(rendered.text);
      prompt.tokens = std::move(rendered.tokens);
      prompt.warnings.push_back(
          fmt::format("the prompt of {} tokens exceeds the context of {}: its oldest {} messages were left out", tokens,
                      context, dropped));
    }
  }
  note_reasoning(model, input, prompt);
  if (wants_tools(input)) {
    MLXR_RETURN_IF_ERROR(read_tools(input, prompt));
    if (!model.format.calls_tools()) {
      prompt.warnings.push_back("tools: how the model writes calls is not known, so that they stay in the text");
      prompt.tools.clear();
    }
  }
  const bool has_parts = model.format.reasons() || !prompt.tools.empty();
  prompt.reads_output = input.parse_output && has_parts;
  prompt.spells_marks = !input.parse_output && !model.format.mark_tokens.empty();
  return prompt;
}

Result<PreparedPrompt> prepare_text(const ModelText& model, const ResolvedModel& resolved, const TextInput& input) {
  PreparedPrompt prompt;
  const EncodeOptions options{.add_special = input.add_special, .parse_special = input.parse_special};
  prompt.text = input.text;
  if (!input.suffix) {
    prompt.tokens = model.tokenizer->encode(input.text, options);
    return prompt;
  }
  const SpecialTokens& special = model.tokenizer->special();
  if (!special.fim_pre || !special.fim_suf || !special.fim_mid) {
    return unsupported(fmt::format("suffix: \"{}\" has no tokens to fill in the middle", resolved.name));
  }
  const EncodeOptions plain{.add_special = false, .parse_special = input.parse_special};
  const std::vector<TokenId> before = model.tokenizer->encode(input.text, plain);
  const std::vector<TokenId> after = model.tokenizer->encode(*input.suffix, plain);
  if (input.add_special && model.tokenizer->adds_bos() && special.bos) prompt.tokens.push_back(*special.bos);
  prompt.tokens.push_back(*special.fim_pre);
  prompt.tokens.insert(prompt.tokens.end(), before.begin(), before.end());
  prompt.tokens.push_back(*special.fim_suf);
  prompt.tokens.insert(prompt.tokens.end(), after.begin(), after.end());
  prompt.tokens.push_back(*special.fim_mid);
  for (const auto& end : {special.fim_pad, special.fim_rep, special.fim_sep}) {
    if (end) prompt.stop_tokens.push_back(*end);
  }
  return prompt;
}

// The beginning of a text goes, but for the token that opens every text.
void shorten_text(const ModelText& model, const GenerateCall& call, std::int64_t context, PreparedPrompt& prompt) {
  const std::size_t tokens = prompt.tokens.size();
  const auto keep = static_cast<std::size_t>(context - room_for_answer(call, context));
  const auto bos = model.tokenizer->special().bos;
  const std::size_t first = bos && prompt.tokens[0] == *bos ? 1 : 0;
  prompt.tokens.erase(prompt.tokens.begin() + static_cast<std::ptrdiff_t>(first),
                      prompt.tokens.begin() + static_cast<std::ptrdiff_t>(tokens - keep + first));
  prompt.text = model.tokenizer->decode(prompt.tokens, {.skip_special = true});
  prompt.warnings.push_back(fmt::format("the prompt of {} tokens exceeds the context of {}: its first {} were left out",
                                        tokens, context, tokens - keep));
}

// A chat's prompt behind the tokens of an earlier one.
Status put_earlier(const ModelText& model, const GenerateCall& call, const std::vector<TokenId>& earlier,
                   std::int64_t context, PreparedPrompt& prompt) {
  if (earlier.empty() || prompt.exceeds_context) return {};
  for (const TokenId token : earlier) {
    if (token < 0 || static_cast<std::size_t>(token) >= model.tokenizer->vocab_size())
      return invalid_argument(
          fmt::format("context: {} is outside of the vocabulary of {}", token, model.tokenizer->vocab_size()));
  }
  const auto bos = model.tokenizer->special().bos;
  const bool opens = bos && !prompt.tokens.empty() && prompt.tokens[0] == *bos;
  std::vector<TokenId> tokens = earlier;
  tokens.insert(tokens.end(), prompt.tokens.begin() + (opens ? 1 : 0), prompt.tokens.end());
  prompt.text = model.tokenizer->decode(earlier) + prompt.text;
  prompt.tokens = std::move(tokens);
  if (!too_long(prompt.tokens, context)) return {};
  prompt.exceeds_context = call.overflow == Overflow::kRefuse;
  if (!prompt.exceeds_context) shorten_text(model, call, context, prompt);
  return {};
}

Result<PreparedPrompt> prepare_plain(const ModelText& model, const ResolvedModel& resolved, const ChatInput& chat) {
  if (wants_tools(chat)) return unsupported(fmt::format("tools: \"{}\" has no chat template", resolved.name));
  if (chat.think.value_or(false))
    return unsupported(fmt::format("think: \"{}\" does not support thinking", resolved.name));
  TextInput text;
  if (!chat.messages.empty()) text.text = text_field(chat.messages.back(), "content");
  MLXR_ASSIGN_OR_RETURN(PreparedPrompt prompt, prepare_text(model, resolved, text));
  if (chat.messages.size() > 1 || !resolved.system.empty())
    prompt.warnings.push_back("the model has no chat template: it sees the prompt alone");
  return prompt;
}

Result<PreparedPrompt> prepare(const ModelText& model, const ResolvedModel& resolved, const GenerateCall& call,
                               std::int64_t context) {
  const auto* chat = std::get_if<ChatInput>(&call.input);
  const bool plain = chat != nullptr && chat->text_without_template && !model.chat;
  if (chat != nullptr && !plain) {
    MLXR_ASSIGN_OR_RETURN(PreparedPrompt prompt, prepare_chat(model, resolved, call, *chat, context));
    MLXR_RETURN_IF_ERROR(put_earlier(model, call, chat->earlier_tokens, context, prompt));
    return prompt;
  }
  PreparedPrompt prompt;
  if (plain) {
    MLXR_ASSIGN_OR_RETURN(prompt, prepare_plain(model, resolved, *chat));
    MLXR_RETURN_IF_ERROR(put_earlier(model, call, chat->earlier_tokens, 0, prompt));
  } else if (const auto* tokens = std::get_if<TokenInput>(&call.input)) {
    prompt.tokens = tokens->tokens;
    if (call.echo || call.render_only) prompt.text = model.tokenizer->decode(prompt.tokens);
  } else {
    MLXR_ASSIGN_OR_RETURN(prompt, prepare_text(model, resolved, std::get<TextInput>(call.input)));
  }
  if (!too_long(prompt.tokens, context)) return prompt;
  const auto* text = std::get_if<TextInput>(&call.input);
  const bool fills = text != nullptr && text->suffix;
  prompt.exceeds_context = call.overflow == Overflow::kRefuse || fills;
  if (!prompt.exceeds_context) shorten_text(model, call, context, prompt);
  return prompt;
}

}  // namespace

Result<std::string> render_chat(const ModelText& model, const ResolvedModel& resolved, const ChatInput& input,
                                std::vector<std::string>& warnings) {
  try {
    MLXR_RETURN_IF_ERROR(check_chat(model, resolved, input));
    return render(model, input, conversation(resolved, input), variables_of(model, input, warnings));
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument(fmt::format("messages: {}", error.what()));
  }
}

Result<PreparedPrompt> prepare_prompt(const ModelText& model, const ResolvedModel& resolved, const GenerateCall& call,
                                      std::int64_t context) {
  try {
    Result<PreparedPrompt> prompt = prepare(model, resolved, call, context);
    if (prompt.ok()) prompt->warnings.insert(prompt->warnings.begin(), model.warnings.begin(), model.warnings.end());
    return prompt;
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument(fmt::format("messages: {}", error.what()));
  }
}

}  // namespace mlxr
