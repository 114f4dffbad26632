#pragma once
// From a conversation to the text that a model was trained on: its chat template with the variables that Hugging Face's
// apply_chat_template passes. Immutable and thread-safe.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/status.h"
#include "core/runtime/template/chat_template.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

class WeightSource;

struct ChatRequest {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools;  // null: none
  bool add_generation_prompt = true;
  // Further variables of the template (enable_thinking, documents, ...), an object; those above and the special tokens
  // cannot be replaced. null: none.
  nlohmann::ordered_json variables = nullptr;
};

class ChatPrompt {
 public:
  // The template of a GGUF file or a model folder. kNotFound when it has none, kInvalidArgument when it is no template.
  static Result<ChatPrompt> open(const std::string& path);
  static Result<ChatPrompt> make(const WeightSource& source, const Tokenizer& tokenizer);

  // Another template with the same special tokens. kInvalidArgument when it is no template.
  Result<ChatPrompt> with_template(const std::string& source) const;
  // A template for a model that has none of its own.
  static Result<ChatPrompt> from_source(const std::string& source, const Tokenizer& tokenizer);

  // kInvalidArgument for messages that are no list of objects with a role; else what the template complains about.
  Result<std::string> render(const ChatRequest& request) const;
  const std::string& source() const { return source_; }
  // Whether the template looks at tools; one that does not would drop them.
  bool supports_tools() const { return template_.mentions("tools"); }
  bool mentions(const std::string& variable) const { return template_.mentions(variable); }

 private:
  ChatPrompt(std::string source, ChatTemplate chat_template, nlohmann::ordered_json tokens)
      : source_(std::move(source)), template_(std::move(chat_template)), tokens_(std::move(tokens)) {}

  std::string source_;
  ChatTemplate template_;
  nlohmann::ordered_json tokens_;  // bos_token, eos_token, ... as strings
};

}  // namespace mlxr
