#include "core/runtime/grammar/mask_engine.h"

#include <algorithm>

namespace mlxr::grammar {

MaskEngine::MaskEngine(const RuleAutomata& automata, std::shared_ptr<const TokenTrie> trie, const GrammarLimits& limits)
    : machine_(automata, limits), trie_(std::move(trie)), max_work_(limits.max_work) {
  // The first two share a machine: the second one's has few more states.
  std::span<const StateId> maps[TokenTrie::kNumSlices];
  for (std::size_t i = 0; i < std::size(kShortTexts); ++i)
    maps[i] = automata.merged(std::max<std::size_t>(i, 1));
  for (std::size_t first = 0, last = 0; first < TokenTrie::kNumSlices; first = last) {
    while (last < TokenTrie::kNumSlices && maps[last].data() == maps[first].data())
      ++last;
    add_level(limits, maps[first], first, last);
  }
}

void MaskEngine::add_level(const GrammarLimits& limits, std::span<const StateId> merged, std::size_t first,
                           std::size_t last) {
  std::size_t num_tokens = 0;
  for (std::size_t i = first; i < last; ++i)
    num_tokens += trie_->slice(i).text.num_tokens() + trie_->slice(i).mixed.num_tokens();
  if (num_tokens == 0) return;
  Level level;
  if (!merged.empty()) level.merged = std::make_unique<StackMachine>(machine_.automata(), limits, merged);
  StackMachine& machine = level.merged != nullptr ? *level.merged : machine_;
  level.masks = std::make_unique<SliceMasks>(machine, *trie_, first, last);
  levels_.push_back(std::move(level));
}

const TokenSet* MaskEngine::mask(ConfigId config) {
  const auto index = static_cast<std::size_t>(config);
  if (index < masks_.size() && masks_[index] != nullptr) return masks_[index];
  parts_.clear();
  machine_.set_work_budget(max_work_);
  for (Level& level : levels_) {
    const ConfigId here = config_of(level, config);
    const TokenSet* part = here < 0 ? nullptr : level.masks->mask(here);
    if (part == nullptr) return nullptr;
    parts_.push_back(part);
  }
  if (masks_.size() <= index) masks_.resize(std::max(index + 1, 2 * masks_.size()));
  masks_[index] = union_of(machine_.ends(config));
  return masks_[index];
}

ConfigId MaskEngine::config_of(Level& level, ConfigId config) {
  if (level.merged == nullptr) return config;
  level.merged->set_work_budget(max_work_);
  const auto index = static_cast<std::size_t>(config);
  if (level.configs.size() <= index) level.configs.resize(std::max(index + 1, 2 * level.configs.size()), kNotMade);
  ConfigId& kept = level.configs[index];
  if (kept == kNotMade) {
    const ConfigId made = level.merged->import(machine_, config, level.nodes);
    if (made == kOverLimit) return made;
    kept = made;
  }
  return kept;
}

const TokenSet* MaskEngine::union_of(bool ends) {
  std::uint64_t hash = ends ? 1 : 2;
  for (const TokenSet* part : parts_)
    hash = mix_hash(hash ^ reinterpret_cast<std::uintptr_t>(part));
  const std::int32_t found = union_index_.find(hash, [&](std::int32_t number) {
    const Union& known = unions_[static_cast<std::size_t>(number)];
    return known.ends == ends && known.parts == parts_;
  });
  if (found >= 0) return &unions_[static_cast<std::size_t>(found)].set;
  TokenBits bits(trie_->mask_words());
  for (const TokenSet* part : parts_)
    bits.add(*part);
  if (ends)
    for (const TokenId token : trie_->end_of_generation())
      bits.add(token);
  union_index_.add(hash, static_cast<std::int32_t>(unions_.size()));
  unions_.push_back({parts_, ends, bits.set()});
  union_bytes_ += unions_.back().set.bytes() + sizeof(Union) + parts_.size() * sizeof(void*);
  return &unions_.back().set;
}

std::size_t MaskEngine::bytes() const {
  std::size_t total = machine_.bytes() + union_bytes_ + union_index_.bytes() + masks_.size() * sizeof(void*);
  for (const Level& level : levels_) {
    total += level.masks->bytes() + level.nodes.size() * sizeof(NodeId) + level.configs.size() * sizeof(ConfigId);
    if (level.merged != nullptr) total += level.merged->bytes();
  }
  return total;
}

}  // namespace mlxr::grammar
