#include "core/runtime/grammar/mask_engine.h"

#include <algorithm>
#include <bit>

namespace mlxr::grammar {
namespace {

// With more places than this one walk over the vocabulary is cheaper than a walk for each.
constexpr std::size_t kMaxComposed = 6;
constexpr std::size_t kMaxListed = 512;
// Configurations that plain text may lead to before asking about it is given up.
constexpr std::size_t kMaxTextConfigs = 16;

struct Bytes {
  int low, high;
};

// Plain text (TokenSlice) of more than one byte: well-formed UTF-8 (the Unicode standard, table 3-7) without U+2028 and
// U+2029. A length of the sequence of ranges is that of the character.
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
      state_masks_(automata.num_states()),
      bits_(trie_->mask_words()) {
  std::uint32_t depth = 0;
  for (const TokenSlice& slice : trie_->slices())
    depth = std::max(depth, slice.trie.max_depth());
  path_.resize(depth + 1);
}

const TokenSet* MaskEngine::mask(ConfigId config) {
  const auto index = static_cast<std::size_t>(config);
  if (index < masks_.size() && masks_[index] != nullptr) return masks_[index].get();
  machine_.set_work_budget(limits_.max_work);
  const std::size_t num_places = machine_.kernel(config).size();
  bool done = false;
  if (num_places <= kMaxComposed) {
    done = compose(config);
  } else {
    std::fill(bits_.begin(), bits_.end(), 0);
    done = walk_all(config, nullptr);
  }
  if (!done) return nullptr;
  if (machine_.ends(config))
    for (const TokenId token : trie_->end_of_generation())
      set_token(token);
  if (masks_.size() <= index) masks_.resize(std::max(index + 1, 2 * masks_.size()));
  masks_[index] = std::make_unique<TokenSet>(take_bits());
  mask_bytes_ += masks_[index]->bytes();
  return masks_[index].get();
}

bool MaskEngine::compose(ConfigId config) {
  const std::span<const Place> kernel = machine_.kernel(config);
  const std::vector<Place> places(kernel.begin(), kernel.end());
  std::vector<const StateMask*> parts;
  for (const Place& place : places) {
    const StateMask* part = state_mask(place.state);
    if (part == nullptr) return false;
    parts.push_back(part);
  }
  std::fill(bits_.begin(), bits_.end(), 0);
  for (std::size_t i = 0; i < places.size(); ++i) {
    add_set(parts[i]->inside);
    if (places[i].node <= kBottomNode) continue;
    const ConfigId after = machine_.after(places[i].node);
    if (after == kOverLimit || (after >= 0 && !walk_escapes(*parts[i], after))) return false;
  }
  return true;
}

bool MaskEngine::walk_escapes(const StateMask& part, ConfigId after) {
  return std::all_of(part.escapes.begin(), part.escapes.end(),
                     [&](const Escape& escape) { return walk(*escape.trie, escape.node, after, nullptr); });
}

const MaskEngine::StateMask* MaskEngine::state_mask(StateId state) {
  std::unique_ptr<StateMask>& kept = state_masks_[static_cast<std::size_t>(state)];
  if (kept != nullptr) return kept.get();
  const ConfigId config = machine_.at_state(state);
  if (config == kOverLimit) return nullptr;
  auto made = std::make_unique<StateMask>();
  std::fill(bits_.begin(), bits_.end(), 0);
  if (config >= 0 && !walk_all(config, &made->escapes)) return nullptr;
  made->inside = take_bits();
  mask_bytes_ += made->inside.bytes() + made->escapes.size() * sizeof(Escape);
  kept = std::move(made);
  return kept.get();
}

bool MaskEngine::walk_all(ConfigId config, std::vector<Escape>* escapes) {
  bool text_allowed = true;
  // The last slice but the first is text of any length: where that is allowed, shorter text is too.
  const std::span<const TokenSlice> slices = trie_->slices();
  for (std::size_t i = slices.size(); i-- > 0;) {
    const TokenSlice& slice = slices[i];
    if (slice.max_characters == TokenSlice::kMixed) {
      if (!walk(slice.trie, 0, config, escapes)) return false;
      continue;
    }
    if (i + 2 == slices.size()) {
      text_allowed = allows_text(config, TokenSlice::kAnyLength);
      if (machine_.over_budget()) return false;
    }
    const bool allowed = text_allowed || (slice.max_characters > 0 && allows_text(config, slice.max_characters));
    if (machine_.over_budget()) return false;
    if (allowed) {
      for (std::size_t w = 0; w < bits_.size(); ++w)
        bits_[w] |= slice.mask[w];
    } else if (!walk(slice.trie, 0, config, escapes)) {
      return false;
    }
  }
  return true;
}

bool MaskEngine::walk(const ByteTrie& trie, std::uint32_t root, ConfigId config, std::vector<Escape>* escapes) {
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
    for (const TokenId token : trie.own_tokens(node))
      set_token(token);
    ++i;
    if (escapes != nullptr && node.next > i && machine_.leaves(next)) escapes->push_back({&trie, i - 1});
  }
  machine_.spend(visited);
  return !machine_.over_budget();
}

bool MaskEngine::allows_text(ConfigId config, int max_characters) {
  std::vector<ConfigId> seen{config};
  std::vector<ConfigId> level{config};
  std::vector<ConfigId> next;
  for (int i = 0; max_characters == TokenSlice::kAnyLength || i < max_characters; ++i) {
    next.clear();
    for (const ConfigId id : level)
      if (!step_text(id, next)) return false;
    sort_unique(next);
    if (max_characters == TokenSlice::kAnyLength)
      std::erase_if(next, [&](ConfigId id) { return std::find(seen.begin(), seen.end(), id) != seen.end(); });
    if (next.empty()) return true;
    if (max_characters == TokenSlice::kAnyLength) seen.insert(seen.end(), next.begin(), next.end());
    if (next == level) return true;
    if (next.size() > kMaxTextConfigs || seen.size() > kMaxTextConfigs) return false;
    level = next;
  }
  return true;
}

// Whether every character of plain text may follow; where that leads is added to `out`.
bool MaskEngine::step_text(ConfigId config, std::vector<ConfigId>& out) {
  machine_.spend(256);
  if (!step_range(config, 0x20, '"' - 1, out) || !step_range(config, '"' + 1, '\\' - 1, out) ||
      !step_range(config, '\\' + 1, 0x7E, out))
    return false;
  std::vector<ConfigId> from;
  std::vector<ConfigId> to;
  for (const CharacterBytes& character : kCharacters) {
    from.assign(1, config);
    for (int i = 0; i < character.length; ++i) {
      to.clear();
      for (const ConfigId id : from) {
        machine_.spend(64);
        if (!step_range(id, character.bytes[i].low, character.bytes[i].high, to)) return false;
      }
      sort_unique(to);
      if (to.size() > kMaxTextConfigs) return false;
      from.swap(to);
    }
    out.insert(out.end(), from.begin(), from.end());
  }
  return true;
}

bool MaskEngine::step_range(ConfigId config, int low, int high, std::vector<ConfigId>& out) {
  for (int byte = low; byte <= high; ++byte) {
    const ConfigId next = machine_.next(config, static_cast<std::uint8_t>(byte));
    if (next < 0) return false;
    if (out.empty() || out.back() != next) out.push_back(next);
  }
  return true;
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
