#pragma once
// A conversation with a model of the daemon, over /v1/chat/completions. It keeps the messages; the daemon keeps the
// model and finds the keys and values of what was said before by themselves. Main thread.

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/chat.h"
#include "cli/daemon_client.h"

namespace mlxr::cli {

struct DaemonChatOptions {
  std::string model = {};
  std::string system = {};
  nlohmann::ordered_json tools = nullptr;       // null: none
  nlohmann::ordered_json logit_bias = nullptr;  // [[id, bias or false]]; null: none
  bool raw = false;                             // the prompt as it is, without the chat template
  std::string keep_alive = {};                  // "5m", "-1"; empty: the daemon's setting
  std::int64_t context = 0;                     // 0: the daemon's setting
};

class DaemonChat : public Chat {
 public:
  // `client` must outlive the chat.
  DaemonChat(DaemonClient& client, DaemonChatOptions options);

  Result<Answer> say(const std::string& message, const AnswerCallbacks& callbacks) override;
  void clear() override;
  const nlohmann::ordered_json& messages() const override { return history_; }
  void set_messages(nlohmann::ordered_json messages) override { history_ = std::move(messages); }
  std::string& system() override { return options_.system; }
  Status set_parameter(std::string_view name, std::string_view value) override;
  std::vector<ParameterText> parameters() const override;
  Status set_format(const std::string& format) override;
  Status set_think(const std::string& think) override;
  Result<std::vector<std::pair<std::string, std::string>>> info() override;
  Result<std::string> text_of_model(std::string_view what) override;

  // The body of the request that the conversation as it is makes.
  nlohmann::ordered_json request() const;

 private:
  DaemonClient& client_;
  DaemonChatOptions options_;
  GenerateOptions generate_;                  // values of the parameters in `given_`
  std::set<std::string, std::less<>> given_;  // the others are the model's
  nlohmann::ordered_json format_;             // null: any text
  nlohmann::ordered_json think_;              // null: as the model does
  nlohmann::ordered_json history_ = nlohmann::ordered_json::array();
};

}  // namespace mlxr::cli
