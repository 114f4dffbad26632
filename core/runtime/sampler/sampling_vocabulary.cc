#include "core/runtime/sampler/sampling_vocabulary.h"

#include <algorithm>

namespace mlxr {
namespace {

constexpr std::size_t kMaxTail = 20;

}  // namespace

SamplingVocabulary::SamplingVocabulary(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const std::vector<TokenId> encoded = tokenizer.encode("\n", {.parse_special = false});
  for (const TokenId token : encoded) {
    if (tokenizer.token_bytes(token) == "\n") newlines_.push_back(token);
  }
}

std::string SamplingVocabulary::last_bytes(std::span<const TokenId> tokens, std::size_t max_bytes) const {
  std::string reversed;
  for (std::size_t i = tokens.size(); i > 0 && reversed.size() < max_bytes; --i) {
    if (tokenizer_.is_special(tokens[i - 1])) continue;
    const std::string bytes = tokenizer_.token_bytes(tokens[i - 1]);
    reversed.append(bytes.rbegin(), bytes.rend());
  }
  reversed.resize(std::min(reversed.size(), max_bytes));
  return {reversed.rbegin(), reversed.rend()};
}

void SamplingVocabulary::spell_all() {
  if (!starts_.empty()) return;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    starts_.push_back(bytes_.size());
    bytes_ += tokenizer_.is_special(token) ? std::string(tokenizer_.piece(token)) : tokenizer_.token_bytes(token);
  }
  starts_.push_back(bytes_.size());
}

std::shared_ptr<const ForbiddenText> SamplingVocabulary::forbidden_text(const std::string& text) {
  if (const auto known = forbidden_.find(text); known != forbidden_.end()) return known->second;
  spell_all();
  ForbiddenText made{.text = text, .containing = {}, .completing = {}};
  made.completing.resize(text.size());
  for (std::size_t i = 0; i < size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string_view bytes = spelling(token);
    if (bytes.empty() || tokenizer_.is_special(token)) continue;
    if (bytes.find(text) != std::string_view::npos) {
      made.containing.push_back(token);
      continue;
    }
    for (std::size_t k = text.find(bytes[0], 1); k != std::string::npos; k = text.find(bytes[0], k + 1)) {
      if (bytes.starts_with(std::string_view(text).substr(k))) made.completing[k].push_back(token);
    }
  }
  if (forbidden_.size() >= kMaxRemembered) forbidden_.clear();
  return forbidden_[text] = std::make_shared<const ForbiddenText>(std::move(made));
}

std::shared_ptr<const std::vector<BreakerTail>> SamplingVocabulary::breaker(const std::string& text) {
  if (const auto known = breakers_.find(text); known != breakers_.end()) return known->second;
  spell_all();
  // What follows a token that ends with the first k bytes. [text.size()]
  std::vector<std::vector<TokenId>> tails(text.size());
  for (std::size_t k = 1; k < text.size(); ++k) {
    tails[k] = tokenizer_.encode(std::string_view(text).substr(k), {.parse_special = false});
    tails[k].resize(std::min(tails[k].size(), kMaxTail));
  }
  std::vector<BreakerTail> made;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string_view bytes = spelling(token);
    if (bytes.find(text) != std::string_view::npos) {
      made.push_back({token, {}});
      continue;
    }
    for (std::size_t k = 1; k < text.size() && k <= bytes.size(); ++k) {
      if (bytes.ends_with(std::string_view(text).substr(0, k))) made.push_back({token, tails[k]});
    }
  }
  if (breakers_.size() >= kMaxRemembered) breakers_.clear();
  return breakers_[text] = std::make_shared<const std::vector<BreakerTail>>(std::move(made));
}

}  // namespace mlxr
