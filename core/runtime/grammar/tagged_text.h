#pragma once
// Free text in which some parts follow grammars: tool calls between tags, an answer that follows a schema once the
// reasoning has ended. One grammar covers it all, so that a token that spells the end of a tag and the beginning of
// what follows is judged by both.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/grammar/grammar.h"

namespace mlxr {

// What marks a place in a text: a string, or a special token (whose spelling no text contains), or either.
struct TextMark {
  std::string text;
  std::optional<TokenId> token;
};

// A part of a text: begin, content, end.
struct TextTag {
  TextMark begin;
  // Where free text becomes a tag: the leading part of begin.text that several tags share ("<function="); empty: all of
  // it. A text that has come so far goes on as one of the tags with this trigger.
  std::string trigger;
  std::shared_ptr<const Grammar> content;
  TextMark end;  // may be empty
};

struct TextTagOptions {
  bool required = false;  // the text may not end before a tag was written
  bool repeated = true;   // more tags may follow; otherwise the text ends behind the first
  bool free_text = true;  // text around tags; otherwise the text is tags only, with white space between them
};

// Free text and tags in any order. kInvalidArgument for tags without a mark, and for triggers that contain each other.
Result<std::shared_ptr<const Grammar>> grammar_from_tags(std::span<const TextTag> tags,
                                                         const TextTagOptions& options = {});

// Free text up to a mark ("</think>"), white space, then the grammar. The text may not end before.
Result<std::shared_ptr<const Grammar>> grammar_after_mark(const TextMark& mark,
                                                          const std::shared_ptr<const Grammar>& grammar);

}  // namespace mlxr
