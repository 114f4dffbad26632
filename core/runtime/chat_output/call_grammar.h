#pragma once
// Grammars for answers with tool calls, reasoning and schemas in one: what a model may write is what OutputReader
// reads.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/runtime/chat_output/chat_format.h"
#include "core/runtime/grammar/grammar.h"

namespace mlxr {

struct ToolSpec {
  std::string name;
  std::string parameters;  // JSON Schema of the arguments as text; empty: any object
};

struct AnswerGrammarOptions {
  // Calls that may be made. Empty: none.
  std::span<const ToolSpec> tools = {};
  bool calls_required = false;  // nothing but calls, at least one
  bool parallel = true;         // more than one
  // What an answer that is no call must look like; nullptr: anything.
  std::shared_ptr<const Grammar> content = nullptr;
  bool reasoning_open = false;  // the prompt ends inside of reasoning
  bool may_reason = false;      // the answer may begin with it
};

// nullptr: the answer needs no grammar. kUnsupported: the format cannot be constrained in this way, or a schema cannot,
// naming the tool. Names of tools are checked for what the format can express.
Result<std::shared_ptr<const Grammar>> answer_grammar(const ChatFormat& format, const AnswerGrammarOptions& options);

// Whether auto calls of the format come under a grammar, so that OutputReader may stream them.
bool streams_calls(const CallFormat& format);

// The parameters of a tool that are texts, for formats without quotes.
std::vector<std::string> text_parameters_of(const ToolSpec& tool);

}  // namespace mlxr
