#include "core/runtime/grammar/mask_engine.h"

#include <algorithm>
#include <bit>

namespace mlxr::grammar {
namespace {

// With more places than this one walk over the vocabulary is cheaper than a walk for each.
constexpr std::size_t kMaxComposed = 6;
constexpr std::size_t kMaxListed = 512;
// Configurations that plain text may lead to before asking about it is given up.
constexpr std::size_t kMaxTextConfigs = 24;
constexpr int kMaxTextReach = 40;
// Nodes from which on it pays to ask whether a whole subtree is allowed.
constexpr std::uint32_t kLargeSubtree = 32;

struct Bytes {
  int low, high;
};

// Plain text (token_trie.h) of more than one byte: well-formed UTF-8 (the Unicode standard, table 3-7) without U+2028
// and U+2029. A length of the sequence of ranges is that of the character.
struct CharacterBytes {
  int length;
  Bytes bytes[4];
};

constexpr Bytes kMore = {0x80, 0xBF};
constexpr CharacterBytes kCharacters[] = {
    {2, {{0xC2, 0xDF}, kMore}},
    {3, {{0xE0, 0xE0}, {0xA0, 0xBF}, kMore}},
    {3, {{0xE1, 0xE1}, kMore, kMore}},
    {3, {{0xE2, 0xE2}, {0x80, 0x80}, {0x80, 0xA7}}},
    {3, {{0xE2, 0xE2}, {0x80, 0x80}, {0xAA, 0xBF}}},
    {3, {{0xE2, 0xE2}, {0x81, 0xBF}, kMore}},
    {3, {{0xE3, 0xEC}, kMore, kMore}},
    {3, {{0xED, 0xED}, {0x80, 0x9F}, kMore}},
    {3, {{0xEE, 0xEF}, kMore, kMore}},
    {4, {{0xF0, 0xF0}, {0x90, 0xBF}, kMore, kMore}},
    {4, {{0xF1, 0xF3}, kMore, kMore, kMore}},
    {4, {{0xF4, 0xF4}, {0x80, 0x8F}, kMore, kMore}},
};

void sort_unique(std::vector<ConfigId>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace

MaskEngine::MaskEngine(const RuleAutomata& automata, std::shared_ptr<const TokenTrie> trie, const GrammarLimits& limits)
    : machine_(automata, limits),
      trie_(std::move(trie)),
      limits_(limits),
      bits_(trie_->mask_words()),
      path_(std::max(trie_->text(0).max_depth(), trie_->mixed().max_depth()) + 1) {
  for (auto& masks : state_masks_)
    masks.resize(automata.num_states());
}

const TokenSet* MaskEngine::mask(ConfigId config) {
  const auto index = static_cast<std::size_t>(config);
  if (index < masks_.size() && masks_[index] != nullptr) return masks_[index].get();
  machine_.set_work_budget(limits_.max_work);
  const TextReach reach = text_reach(config);
  std::fill(bits_.begin(), bits_.end(), 0);
  const bool text_decided = reach.all == kAnyLength || reach.none_longer;
  std::size_t longer = kMixed - 1;  // only text that the reach says nothing about
  while (TokenTrie::kLongerThan[longer] > reach.all)
    --longer;
  const bool done = (text_decided || compose(config, longer)) && compose(config, kMixed);
  if (!done || machine_.over_budget()) return nullptr;
  const std::span<const TextTokens> lengths = trie_->text_tokens();
  for (std::size_t i = lengths.size(); i-- > 0;) {
    if (lengths[i].max_characters > reach.all) continue;
    for (std::size_t w = 0; w < bits_.size(); ++w)
      bits_[w] |= lengths[i].mask[w];
    break;
  }
  if (machine_.ends(config))
    for (const TokenId token : trie_->end_of_generation())
      set_token(token);
  if (masks_.size() <= index) masks_.resize(std::max(index + 1, 2 * masks_.size()));
  masks_[index] = std::make_unique<TokenSet>(take_bits());
  mask_bytes_ += masks_[index]->bytes();
  return masks_[index].get();
}

bool MaskEngine::compose(ConfigId config, std::size_t part) {
  const std::span<const Place> kernel = machine_.kernel(config);
  if (kernel.size() > kMaxComposed) return walk(trie_of(part), 0, config, nullptr);
  const std::vector<Place> places(kernel.begin(), kernel.end());
  for (const Place& place : places) {
    const StateMask* mask = state_mask(place.state, part);
    if (mask == nullptr) return false;
    add_set(mask->inside);
    if (place.node <= kBottomNode || mask->escapes.empty()) continue;
    const ConfigId after = machine_.after(place.node);
    if (after == kOverLimit || (after >= 0 && !walk_escapes(*mask, after))) return false;
  }
  return true;
}

bool MaskEngine::walk_escapes(const StateMask& part, ConfigId after) {
  return std::all_of(part.escapes.begin(), part.escapes.end(),
                     [&](const Escape& escape) { return walk(*escape.trie, escape.node, after, nullptr); });
}

const MaskEngine::StateMask* MaskEngine::state_mask(StateId state, std::size_t part) {
  std::unique_ptr<StateMask>& kept = state_masks_[part][static_cast<std::size_t>(state)];
  if (kept != nullptr) return kept.get();
  const ConfigId config = machine_.at_state(state);
  if (config == kOverLimit) return nullptr;
  auto made = std::make_unique<StateMask>();
  std::vector<std::uint64_t> others(bits_.size());  // what other places have set
  others.swap(bits_);
  const bool done = config < 0 || walk(trie_of(part), 0, config, &made->escapes);
  if (done) made->inside = take_bits();
  others.swap(bits_);
  if (!done) return nullptr;
  mask_bytes_ += made->inside.bytes() + made->escapes.size() * sizeof(Escape);
  kept = std::move(made);
  return kept.get();
}

bool MaskEngine::walk(const ByteTrie& trie, std::uint32_t root, ConfigId config, std::vector<Escape>* escapes) {
  const bool is_text = &trie != &trie_->mixed();
  const std::span<const TrieNode> nodes = trie.nodes();
  const std::uint32_t end = nodes[root].next;
  if (path_.size() <= trie.max_depth()) path_.resize(trie.max_depth() + 1);
  path_[nodes[root].depth] = config;
  std::uint32_t i = root + 1;
  std::int64_t visited = 0;
  while (i < end) {
    const TrieNode& node = nodes[i];
    ++visited;
    const ConfigId next = machine_.next(path_[node.depth - 1U], node.byte);
    if (next < 0) {
      if (next == kOverLimit) return false;
      i = node.next;
      continue;
    }
    path_[node.depth] = next;
    // As many characters as bytes at most, if the node is at the end of one; within one no text is allowed.
    if (is_text && node.next - i > kLargeSubtree &&
        text_reach(next).all >= (node.height == 255 ? kAnyLength : node.height)) {
      for (const TokenId token : trie.tokens_below(node))
        set_token(token);
      i = node.next;
      continue;
    }
    for (const TokenId token : trie.own_tokens(node))
      set_token(token);
    ++i;
    if (escapes != nullptr && node.next > i && machine_.leaves(next)) escapes->push_back({&trie, i - 1});
  }
  machine_.spend(visited);
  return !machine_.over_budget();
}

const MaskEngine::TextReach& MaskEngine::text_reach(ConfigId config) {
  const auto [place, added] = text_reaches_.try_emplace(config);
  if (added) place->second = find_text_reach(config);
  return place->second;
}

MaskEngine::TextReach MaskEngine::find_text_reach(ConfigId config) {
  // Text of any length, when the configurations that text leads to are few and all allow it.
  std::vector<ConfigId> seen{config};
  bool closed = true;
  for (std::size_t i = 0; i < seen.size() && closed; ++i) {
    const TextStep& step = text_step(seen[i]);
    closed = step.kind == TextStep::kAll && seen.size() <= kMaxTextConfigs;
    for (const ConfigId next : step.next)
      if (std::find(seen.begin(), seen.end(), next) == seen.end()) seen.push_back(next);
  }
  if (closed) return {kAnyLength, false};
  std::vector<ConfigId> level{config};
  for (int length = 0; length < kMaxTextReach; ++length) {
    std::size_t num_all = 0;
    std::size_t num_none = 0;
    std::vector<ConfigId> next;
    for (const ConfigId id : level) {
      const TextStep& step = text_step(id);
      if (step.kind == TextStep::kAll) ++num_all;
      if (step.kind == TextStep::kNone) ++num_none;
      next.insert(next.end(), step.next.begin(), step.next.end());
    }
    if (num_none == level.size()) return {length, true};
    if (num_all < level.size()) return {length, false};
    sort_unique(next);
    if (next.size() > kMaxTextConfigs) return {length, false};
    level.swap(next);
  }
  return {kMaxTextReach, false};
}

const MaskEngine::TextStep& MaskEngine::text_step(ConfigId config) {
  const auto [place, added] = text_steps_.try_emplace(config);
  if (added) {
    place->second = find_text_step(config);
    mask_bytes_ += sizeof(TextStep) + place->second.next.size() * sizeof(ConfigId);
  }
  return place->second;
}

MaskEngine::TextStep MaskEngine::find_text_step(ConfigId config) {
  TextStep out;
  bool any_dead = false;
  machine_.spend(256);
  step_range(config, 0x20, '"' - 1, out.next, any_dead);
  step_range(config, '"' + 1, '\\' - 1, out.next, any_dead);
  step_range(config, '\\' + 1, 0x7E, out.next, any_dead);
  if (any_dead && !out.next.empty()) return {};
  std::vector<ConfigId> from;
  std::vector<ConfigId> to;
  for (const CharacterBytes& character : kCharacters) {
    from.assign(1, config);
    for (int i = 0; i < character.length; ++i) {
      to.clear();
      for (const ConfigId id : from) {
        machine_.spend(64);
        step_range(id, character.bytes[i].low, character.bytes[i].high, to, any_dead);
      }
      sort_unique(to);
      if (to.size() > kMaxTextConfigs) return {};
      from.swap(to);
      // A character that has begun counts as allowed: then nothing is certain.
      if (any_dead && (!from.empty() || !out.next.empty() || i > 0)) return {};
    }
    out.next.insert(out.next.end(), from.begin(), from.end());
  }
  sort_unique(out.next);
  out.kind = any_dead ? TextStep::kNone : TextStep::kAll;
  return out;
}

void MaskEngine::step_range(ConfigId config, int low, int high, std::vector<ConfigId>& out, bool& any_dead) {
  for (int byte = low; byte <= high; ++byte) {
    const ConfigId next = machine_.next(config, static_cast<std::uint8_t>(byte));
    if (next < 0)
      any_dead = true;
    else if (out.empty() || out.back() != next)
      out.push_back(next);
  }
}

void MaskEngine::add_set(const TokenSet& set) {
  for (const TokenId token : set.list)
    set_token(token);
  for (std::size_t w = 0; w < set.bits.size(); ++w)
    bits_[w] |= set.bits[w];
}

TokenSet MaskEngine::take_bits() {
  TokenSet out;
  std::size_t count = 0;
  for (std::size_t w = 0; w < bits_.size() && count <= kMaxListed; ++w)
    if (bits_[w] != 0) count += static_cast<std::size_t>(std::popcount(bits_[w]));
  if (count > kMaxListed) {
    out.bits = bits_;
    return out;
  }
  out.list.reserve(count);
  for (std::size_t w = 0; w < bits_.size(); ++w)
    for (std::uint64_t word = bits_[w]; word != 0; word &= word - 1)
      out.list.push_back(static_cast<TokenId>(w * 64 + static_cast<std::size_t>(std::countr_zero(word))));
  return out;
}

}  // namespace mlxr::grammar
