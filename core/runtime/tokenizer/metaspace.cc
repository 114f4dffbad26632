#include "core/runtime/tokenizer/metaspace.h"

namespace mlxr {

std::string metaspace_to_space(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.starts_with(kSpaceMark)) {
      out += ' ';
      text.remove_prefix(kSpaceMark.size());
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

bool words_start_with_metaspace(const Vocabulary& vocabulary) {
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const Token& token = vocabulary.token(static_cast<TokenId>(id));
    if (token.type == TokenType::kControl || token.type == TokenType::kUnknown) continue;
    std::string_view rest = token.piece;
    while (rest.starts_with(kSpaceMark))
      rest.remove_prefix(kSpaceMark.size());
    if (rest.find(kSpaceMark) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace mlxr
