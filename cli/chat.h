#pragma once
// Chat: a conversation with a model, wherever it runs: in this process (conversation.h) or in the daemon
// (daemon_chat.h). What `mlxr run` and its session at the terminal talk to. Main thread.

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/status.h"
#include "core/runtime/generator.h"

namespace mlxr::cli {

struct Answer {
  std::string text;
  std::string reasoning;  // of models that think, where it is told apart
  FinishReason finish_reason = FinishReason::kEndOfText;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  double prompt_ms = 0.0;
  double generation_ms = 0.0;
  double load_ms = 0.0;  // what this answer waited for the model
  std::vector<std::string> warnings = {};
};

struct AnswerCallbacks {
  std::function<void(std::string_view text)> on_text = {};
  std::function<void(std::string_view text)> on_reasoning = {};
  std::function<void(std::int64_t done, std::int64_t total)> on_prefill = {};  // tokens of the prompt
  std::function<void(double fraction)> on_load = {};
  const std::atomic<bool>* cancel = nullptr;
};

struct ParameterText {
  std::string name;
  std::string value;
  std::string help;
};

class Chat {
 public:
  virtual ~Chat() = default;

  // Adds the user's message and the model's answer, which it streams. A failed or cancelled answer leaves the
  // conversation as far as it was said. kResourceExhausted when it no longer fits into the context.
  virtual Result<Answer> say(const std::string& message, const AnswerCallbacks& callbacks) = 0;
  // Forgets everything said; the system message stays.
  virtual void clear() = 0;
  // What was said: [{role, content}], without the system message.
  virtual const nlohmann::ordered_json& messages() const = 0;
  virtual void set_messages(nlohmann::ordered_json messages) = 0;

  virtual std::string& system() = 0;  // empty: none
  // kInvalidArgument names what is wrong and leaves all as it was.
  virtual Status set_parameter(std::string_view name, std::string_view value) = 0;
  virtual std::vector<ParameterText> parameters() const = 0;
  // "json" or a JSON Schema as text; empty: any text. kUnsupported where answers cannot be held to it.
  virtual Status set_format(const std::string& format) = 0;
  // "true", "false" or an effort; empty: as the model does by itself.
  virtual Status set_think(const std::string& think) = 0;

  // Rows of /show info.
  virtual Result<std::vector<std::pair<std::string, std::string>>> info() = 0;
  // Of the model: "template", "license", "modelfile". kNotFound: it has none.
  virtual Result<std::string> text_of_model(std::string_view what) = 0;
};

}  // namespace mlxr::cli
