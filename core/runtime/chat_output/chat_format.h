#pragma once
// How a model writes what is not plain text: reasoning and tool calls, as its chat template tells. chat_formats.def has
// the families.

#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/grammar/tagged_text.h"
#include "core/runtime/tokenizer/tokenizer.h"

namespace mlxr {

enum class CallStyle : std::uint8_t { kNone, kObject, kList, kNamed, kParameters };

struct CallFormat {
  std::string name;
  CallStyle style = CallStyle::kNone;
  // Marks, in the spelling of marks: see ChatFormat.
  std::string group_begin, begin, end, group_end;
  // Text between them, as chat_formats.def says.
  std::string before, key, name_end, param_begin, param_name_end, param_end, after;

  bool fills_answer() const { return begin.empty(); }
};

// The marks are text, or, where the vocabulary has a control token of that spelling, grammar::token_spelling() of it: a
// byte that no text has and the token's number. Whoever reads an answer spells such tokens the same way.
struct ChatFormat {
  std::string reasoning_begin, reasoning_end;  // empty: the model does not reason in a way that shows
  CallFormat calls;
  // The control tokens among the marks.
  std::vector<TokenId> mark_tokens;

  bool reasons() const { return !reasoning_end.empty(); }
  bool calls_tools() const { return calls.style != CallStyle::kNone; }
  // The mark for grammars.
  static TextMark text_mark(const std::string& mark);
};

// `tokenizer` may be null: all marks are text then.
ChatFormat chat_format_of(std::string_view chat_template, const Tokenizer* tokenizer);

// Whether the prompt ends inside of reasoning, so that the answer begins there. `prompt` as it was rendered.
bool prompt_opens_reasoning(std::string_view chat_template, std::string_view prompt);

}  // namespace mlxr
