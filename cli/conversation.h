#pragma once
// What `mlxr run` keeps while people talk to a model: the messages so far, the settings, and one answer at a time.

#include <atomic>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "core/runtime/generator.h"

namespace mlxr::cli {

struct ConversationOptions {
  GenerateOptions generate;
  std::string system;            // empty: none
  nlohmann::ordered_json tools;  // null: none
  bool raw = false;              // the prompt as it is, without the chat template
};

class Conversation {
 public:
  // `model` must outlive the conversation. kUnsupported when tools are given and the template ignores them.
  static Result<std::unique_ptr<Conversation>> make(LoadedModel& model, ConversationOptions options);

  // Adds the user's message and the model's answer, which it streams. A failed or cancelled answer leaves the history
  // as far as it was said. kResourceExhausted when the conversation no longer fits into the context.
  Result<GenerateResult> say(const std::string& message, const Generator::Callbacks& callbacks);
  // Forgets everything said; the system message stays.
  void clear();

  ConversationOptions& options() { return options_; }
  LoadedModel& model() { return model_; }
  std::size_t num_messages() const { return history_.size(); }

 private:
  Conversation(LoadedModel& model, ConversationOptions options, std::unique_ptr<Generator> generator)
      : model_(model), options_(std::move(options)), generator_(std::move(generator)) {}

  Result<std::string> prompt_text() const;

  LoadedModel& model_;
  ConversationOptions options_;
  std::unique_ptr<Generator> generator_;
  nlohmann::ordered_json history_ = nlohmann::ordered_json::array();
};

}  // namespace mlxr::cli
