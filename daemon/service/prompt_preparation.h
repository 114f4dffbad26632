#pragma once
// From a call to the tokens that an engine is asked to go on with. Pure: files and engines were opened before.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/chat_output/call_grammar.h"
#include "daemon/service/generate_call.h"
#include "daemon/service/model_text.h"

namespace mlxr {

struct PreparedPrompt {
  std::string text;
  std::vector<TokenId> tokens;
  std::vector<std::string> warnings;
  // The prompt is too long and the call says to refuse that.
  bool exceeds_context = false;

  // How to read the answer.
  bool reads_output = false;    // reasoning and calls are taken apart
  bool spells_marks = false;    // they stay in the text, control tokens included
  bool reasoning_open = false;  // the answer begins inside of reasoning
  bool may_reason = false;      // it may begin with reasoning
  std::vector<ToolSpec> tools;  // that may be called
  bool calls_required = false;
  std::vector<TokenId> stop_tokens;  // further ones, of fill in the middle
};

// `context`: tokens that the prompt and one more have to fit into; 0: no bound. kUnsupported for what the model cannot
// do, kInvalidArgument for what makes no sense; both name the field.
Result<PreparedPrompt> prepare_prompt(const ModelText& model, const ResolvedModel& resolved, const GenerateCall& call,
                                      std::int64_t context);

// Only the text of a conversation.
Result<std::string> render_chat(const ModelText& model, const ResolvedModel& resolved, const ChatInput& input,
                                std::vector<std::string>& warnings);

}  // namespace mlxr
