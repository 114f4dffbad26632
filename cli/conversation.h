#pragma once
// A conversation with a model in this process: the messages so far, the settings, and one answer at a time.

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/chat.h"
#include "core/runtime/generator.h"

namespace mlxr::cli {

struct ConversationOptions {
  GenerateOptions generate;
  std::string system;            // empty: none
  nlohmann::ordered_json tools;  // null: none
  bool raw = false;              // the prompt as it is, without the chat template
};

class Conversation : public Chat {
 public:
  // `model` must outlive the conversation. kUnsupported when tools are given and the template ignores them.
  static Result<std::unique_ptr<Conversation>> make(LoadedModel& model, ConversationOptions options);

  Result<Answer> say(const std::string& message, const AnswerCallbacks& callbacks) override;
  void clear() override;
  const nlohmann::ordered_json& messages() const override { return history_; }
  void set_messages(nlohmann::ordered_json messages) override;
  std::string& system() override { return options_.system; }
  Status set_parameter(std::string_view name, std::string_view value) override;
  std::vector<ParameterText> parameters() const override;
  Status set_format(const std::string& format) override;
  Status set_think(const std::string& think) override;
  Result<std::vector<std::pair<std::string, std::string>>> info() override;
  Result<std::string> text_of_model(std::string_view what) override;

  LoadedModel& model() { return model_; }

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
