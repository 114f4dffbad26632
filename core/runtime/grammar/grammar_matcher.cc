#include "core/runtime/grammar/grammar_matcher.h"

#include <algorithm>
#include <unordered_map>

#include "core/base/check.h"
#include "core/runtime/grammar/mask_engine.h"

namespace mlxr {

using grammar::ConfigId;
using grammar::kDead;
using grammar::kOverLimit;

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      engine_(grammar_->engine(trie_)),
      config_(engine_->machine().root()) {
  if (config_ < 0) fail();
}

void GrammarMatcher::fail() {
  status_ = resource_exhausted("the grammar is too ambiguous: it allows too many readings of the text so far");
}

grammar::MaskEngine& GrammarMatcher::engine() {
  std::shared_ptr<grammar::MaskEngine> current = grammar_->engine(trie_);
  if (current != engine_) migrate(std::move(current));
  engine_->machine().set_work_budget(grammar_->rules().limits().max_work);
  return *engine_;
}

void GrammarMatcher::migrate(std::shared_ptr<grammar::MaskEngine> to) {
  to->machine().set_work_budget(grammar_->rules().limits().max_work);
  std::unordered_map<ConfigId, ConfigId> known;
  std::vector<grammar::NodeId> nodes;
  const auto import = [&](ConfigId config) {
    if (config < 0) return config;
    const auto [place, added] = known.try_emplace(config, kDead);
    if (added) place->second = to->machine().import(engine_->machine(), config, nodes);
    return place->second;
  };
  for (Step& step : history_)
    step.config = import(step.config);
  config_ = import(config_);
  engine_ = std::move(to);
  if (config_ < 0) fail();
}

std::span<const std::uint64_t> GrammarMatcher::mask() {
  mask_.resize(trie_->mask_words());
  for (const TokenId token : listed_)
    mask_[static_cast<std::size_t>(token) / 64] = 0;
  listed_.clear();
  if (!status_.ok() || ended_) {
    if (ended_) listed_.assign(trie_->end_of_generation().begin(), trie_->end_of_generation().end());
  } else {
    const grammar::TokenSet* set = engine().mask(config_);
    if (set == nullptr)
      fail();
    else if (!set->bits.empty())
      return set->bits;
    else
      listed_ = set->list;
  }
  for (const TokenId token : listed_)
    mask_[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(token) % 64);
  return mask_;
}

ConfigId GrammarMatcher::follow(ConfigId config, TokenId token) {
  const std::string_view bytes = trie_->spelling(token);
  if (bytes.empty()) return kDead;
  grammar::StackMachine& machine = engine_->machine();
  for (const char byte : bytes) {
    config = machine.next(config, static_cast<std::uint8_t>(byte));
    if (config < 0) return config;
  }
  return config;
}

bool GrammarMatcher::accept(TokenId token) {
  if (!status_.ok()) return false;
  const bool ends = trie_->is_end_of_generation(token);
  const bool was_ended = ended_;
  if (ended_ && !ends) return false;
  const grammar::MaskEngine& engine = this->engine();
  if (!status_.ok()) return false;
  ConfigId next = ended_ ? kDead : follow(config_, token);
  if (next == kOverLimit) {
    fail();
    return false;
  }
  if (next == kDead) {
    if (!ends || !engine.machine().ends(config_)) return false;
    next = config_;
    ended_ = true;
  }
  history_.push_back({config_, was_ended});
  config_ = next;
  rollback_limit_ = std::min(rollback_limit_ + 1, kMaxRollback);
  if (history_.size() >= 2 * kMaxRollback) history_.erase(history_.begin(), history_.end() - kMaxRollback);
  return true;
}

std::size_t GrammarMatcher::would_accept(std::span<const TokenId> tokens) {
  if (!status_.ok() || ended_) return 0;
  grammar::MaskEngine& engine = this->engine();
  ConfigId config = config_;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const ConfigId next = config < 0 ? kDead : follow(config, tokens[i]);
    if (next < 0) {
      const bool ends = config >= 0 && trie_->is_end_of_generation(tokens[i]) && engine.machine().ends(config);
      return ends ? i + 1 : i;
    }
    config = next;
  }
  return tokens.size();
}

void GrammarMatcher::rollback(std::int64_t num_tokens) {
  MLXR_CHECK(num_tokens >= 0 && num_tokens <= rollback_limit_, "as many tokens to take back as were accepted");
  if (num_tokens == 0) return;
  const std::size_t left = history_.size() - static_cast<std::size_t>(num_tokens);
  config_ = history_[left].config;
  ended_ = history_[left].ended;
  history_.resize(left);
  rollback_limit_ -= num_tokens;
  status_ = {};
}

bool GrammarMatcher::may_end() const {
  return status_.ok() && (ended_ || engine_->machine().ends(config_));
}

std::string GrammarMatcher::forced_bytes() {
  std::string out;
  if (!status_.ok() || ended_) return out;
  grammar::StackMachine& machine = engine().machine();
  ConfigId config = config_;
  while (config >= 0 && out.size() < kMaxForcedBytes && !machine.ends(config)) {
    const int byte = machine.only_byte(config);
    if (byte < 0 || byte >= 0xFE) break;  // a special token begins
    out.push_back(static_cast<char>(byte));
    config = machine.next(config, static_cast<std::uint8_t>(byte));
  }
  return out;
}

std::vector<TokenId> GrammarMatcher::forced_tokens(const Tokenizer& tokenizer) {
  const std::string bytes = forced_bytes();
  if (bytes.empty()) return {};
  std::vector<TokenId> tokens = tokenizer.encode(bytes, {.add_special = false, .parse_special = false});
  std::size_t length = 0;
  std::size_t kept = 0;
  std::vector<std::size_t> starts;
  // Some tokenizers put a space in front of a text; then nothing is known.
  for (const TokenId token : tokens) {
    const std::string_view spelling = trie_->spelling(token);
    if (spelling.empty() || bytes.compare(length, spelling.size(), spelling) != 0) return {};
    starts.push_back(length);
    length += spelling.size();
  }
  // A token stays when no token of the vocabulary begins at its start or later and reaches over the end.
  for (kept = 0; kept < tokens.size(); ++kept)
    if (trie_->has_longer(std::string_view(bytes).substr(starts[kept]))) break;
  if (length != bytes.size()) kept = 0;
  tokens.resize(std::min(kept, would_accept(tokens)));
  return tokens;
}

}  // namespace mlxr
