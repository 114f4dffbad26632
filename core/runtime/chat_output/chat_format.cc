#include "core/runtime/chat_output/chat_format.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

struct CallRow {
  const char* name;
  const char* markers;
  CallStyle style;
  std::array<const char*, 11> parts;
};

constexpr auto kObject = CallStyle::kObject;
constexpr auto kList = CallStyle::kList;
constexpr auto kNamed = CallStyle::kNamed;
constexpr auto kParameters = CallStyle::kParameters;

constexpr CallRow kCallRows[] = {
#define MLXR_CALL_FORMAT(name, markers, style, ...) {name, markers, style, {__VA_ARGS__}},
#define MLXR_REASONING_MARKS(begin, end)
#include "core/runtime/chat_output/chat_formats.def"
#undef MLXR_CALL_FORMAT
#undef MLXR_REASONING_MARKS
};

struct ReasoningRow {
  const char* begin;
  const char* end;
};

constexpr ReasoningRow kReasoningRows[] = {
#define MLXR_CALL_FORMAT(...)
#define MLXR_REASONING_MARKS(begin, end) {begin, end},
#include "core/runtime/chat_output/chat_formats.def"
#undef MLXR_CALL_FORMAT
#undef MLXR_REASONING_MARKS
};

// Templates write strings of their own with escapes.
std::string unescaped(std::string_view chat_template) {
  std::string text;
  text.reserve(chat_template.size());
  for (std::size_t i = 0; i < chat_template.size(); ++i) {
    const bool escaped_quote = chat_template[i] == '\\' && i + 1 < chat_template.size() &&
                               (chat_template[i + 1] == '"' || chat_template[i + 1] == '\'');
    if (!escaped_quote) text += chat_template[i];
  }
  return text;
}

bool has_markers(std::string_view text, std::string_view markers) {
  while (!markers.empty()) {
    const std::size_t end = std::min(markers.find('&'), markers.size());
    std::string_view marker = markers.substr(0, end);
    const bool unwanted = marker.starts_with('!');
    if (unwanted) marker.remove_prefix(1);
    if ((text.find(marker) != std::string_view::npos) == unwanted) return false;
    markers.remove_prefix(std::min(end + 1, markers.size()));
  }
  return true;
}

const ReasoningRow* reasoning_row(std::string_view chat_template) {
  for (const ReasoningRow& row : kReasoningRows) {
    if (chat_template.find(row.end) != std::string_view::npos) return &row;
  }
  return nullptr;
}

// Marks of a vocabulary.
class MarkSpeller {
 public:
  MarkSpeller(const Tokenizer* tokenizer, std::vector<TokenId>& tokens) : tokenizer_(tokenizer), tokens_(tokens) {}

  std::string operator()(const std::string& mark) const {
    if (mark.empty() || tokenizer_ == nullptr) return mark;
    const auto token = tokenizer_->find_piece(mark);
    if (!token || !tokenizer_->is_special(*token)) return mark;
    if (std::find(tokens_.begin(), tokens_.end(), *token) == tokens_.end()) tokens_.push_back(*token);
    return grammar::token_spelling(*token);
  }

 private:
  const Tokenizer* tokenizer_;
  std::vector<TokenId>& tokens_;
};

}  // namespace

TextMark ChatFormat::text_mark(const std::string& mark) {
  if (!mark.starts_with('\xFF')) return {.text = mark, .token = std::nullopt};
  TokenId token = kNoToken;
  std::from_chars(mark.data() + 2, mark.data() + mark.size(), token);
  return {.text = "", .token = token};
}

ChatFormat chat_format_of(std::string_view chat_template, const Tokenizer* tokenizer) {
  ChatFormat format;
  const MarkSpeller spell(tokenizer, format.mark_tokens);
  if (const ReasoningRow* row = reasoning_row(chat_template)) {
    format.reasoning_begin = spell(row->begin);
    format.reasoning_end = spell(row->end);
  }
  const std::string text = unescaped(chat_template);
  for (const CallRow& row : kCallRows) {
    if (!has_markers(text, row.markers)) continue;
    const auto& [group_begin, begin, before, key, name_end, param_begin, param_name_end, param_end, after, end,
                 group_end] = row.parts;
    format.calls = {.name = row.name,
                    .style = row.style,
                    .group_begin = spell(group_begin),
                    .begin = spell(begin),
                    .end = spell(end),
                    .group_end = spell(group_end),
                    .before = before,
                    .key = key,
                    .name_end = spell(name_end),
                    .param_begin = param_begin,
                    .param_name_end = param_name_end,
                    .param_end = param_end,
                    .after = after};
    break;
  }
  return format;
}

bool prompt_opens_reasoning(std::string_view chat_template, std::string_view prompt) {
  const ReasoningRow* row = reasoning_row(chat_template);
  if (row == nullptr) return false;
  const std::size_t last = prompt.find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) return false;
  return prompt.substr(0, last + 1).ends_with(row->begin);
}

}  // namespace mlxr
