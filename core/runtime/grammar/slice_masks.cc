#include "core/runtime/grammar/slice_masks.h"

#include <algorithm>

namespace mlxr::grammar {
namespace {

// With more places than this one walk over the vocabulary is cheaper than a walk for each.
constexpr std::size_t kMaxComposed = 6;
// Nodes from which on it pays to ask how much text is allowed. (Slices of long tokens have too few of them.)
constexpr std::uint32_t kLargeSubtree = 32;

bool is_continuation(std::uint8_t byte) {
  return (byte & 0xC0U) == 0x80;
}

}  // namespace

void TokenBits::clear() {
  if (many_)
    std::fill(words_.begin(), words_.end(), 0);
  else
    for (const TokenId token : listed_)
      words_[static_cast<std::size_t>(token) / 64] = 0;
  listed_.clear();
  many_ = false;
}

void TokenBits::add(const TokenSet& set) {
  for (const TokenId token : set.list)
    add(token);
  if (!set.bits.empty()) add(set.bits);
}

void TokenBits::add(std::span<const std::uint64_t> words) {
  many_ = true;
  for (std::size_t w = 0; w < words.size(); ++w)
    words_[w] |= words[w];
}

void TokenBits::add_but(std::span<const std::uint64_t> words, std::span<const TokenId> but) {
  scratch_.assign(words.begin(), words.end());
  for (const TokenId token : but)
    scratch_[static_cast<std::size_t>(token) / 64] &= ~(std::uint64_t{1} << (static_cast<unsigned>(token) % 64));
  add(scratch_);
}

TokenSet TokenBits::set() const {
  TokenSet out;
  if (many_) {
    out.bits = words_;
    return out;
  }
  out.list = listed_;
  std::sort(out.list.begin(), out.list.end());
  out.list.erase(std::unique(out.list.begin(), out.list.end()), out.list.end());
  return out;
}

SliceMasks::SliceMasks(StackMachine& machine, const TokenTrie& trie, std::size_t first, std::size_t last)
    : machine_(machine),
      trie_(trie),
      first_(first),
      reaches_(machine),
      bits_(trie.mask_words()),
      other_bits_(trie.mask_words()) {
  for (std::size_t i = first; i < last; ++i) {
    const TokenSlice& slice = trie.slice(i);
    parts_.push_back({&slice.text, slice.text_tokens.back().mask, true, {}});
    parts_.push_back({&slice.mixed, slice.mixed_mask, false, {}});
  }
  for (Part& part : parts_) {
    if (part.trie->num_tokens() > 0) part.state_masks.resize(machine.automata().num_states());
    path_.resize(std::max<std::size_t>(path_.size(), part.trie->max_depth() + 1));
  }
}

const TokenSet* SliceMasks::mask(ConfigId config) {
  const auto index = static_cast<std::size_t>(config);
  if (index < masks_.size() && masks_[index] != nullptr) return masks_[index].get();
  bits_.clear();
  bool done = true;
  for (std::size_t p = 0; p < parts_.size() && done; ++p) {
    if (parts_[p].trie->num_tokens() == 0) continue;
    done = parts_[p].is_text ? add_text(p / 2, config) : compose(parts_[p], config);
  }
  if (reaches_.take_over_limit() || machine_.over_budget() || !done) return nullptr;
  if (masks_.size() <= index) masks_.resize(std::max(index + 1, 2 * masks_.size()));
  masks_[index] = std::make_unique<TokenSet>(bits_.set());
  mask_bytes_ += masks_[index]->bytes();
  return masks_[index].get();
}

bool SliceMasks::add_text(std::size_t slice, ConfigId config) {
  const TextReach reach = first_ == 0 ? reaches_.reach(config) : TextReach();
  const std::span<const TextTokens> lengths = trie_.slice(first_ + slice).text_tokens;
  // Where there are no masks by length, only all and nothing are decided.
  const bool by_length = lengths.size() > 1;
  const bool all = reach.all == kAnyLength || (by_length && reach.all == TextReaches::kMaxReach);
  const bool decided = all || (reach.none_longer && (by_length || reach.all == 0));
  if (!decided && !compose(parts_[2 * slice], config)) return false;
  for (std::size_t i = lengths.size(); i-- > 0;) {
    if (lengths[i].max_characters > reach.all && !all) continue;
    bits_.add(lengths[i].mask);
    break;
  }
  return true;
}

bool SliceMasks::compose(Part& part, ConfigId config) {
  const std::span<const Place> kernel = machine_.kernel(config);
  if (kernel.size() > kMaxComposed) return walk(part, 0, config, nullptr);
  const std::vector<Place> places(kernel.begin(), kernel.end());
  for (const Place& place : places) {
    const StateMask* mask = state_mask(part, place.state);
    if (mask == nullptr) return false;
    bits_.add(mask->inside);
    if (place.node <= kBottomNode || mask->escapes.empty()) continue;
    const ConfigId after = machine_.after(place.node);
    if (after == kOverLimit) return false;
    if (after < 0) continue;
    for (const std::uint32_t node : mask->escapes)
      if (!walk(part, node, after, nullptr)) return false;
  }
  return true;
}

const SliceMasks::StateMask* SliceMasks::state_mask(Part& part, StateId state) {
  std::unique_ptr<StateMask>& kept = part.state_masks[static_cast<std::size_t>(state)];
  if (kept != nullptr) return kept.get();
  const ConfigId config = machine_.at_state(state);
  if (config == kOverLimit) return nullptr;
  auto made = std::make_unique<StateMask>();
  std::swap(bits_, other_bits_);  // what other places have added
  bits_.clear();
  const bool done = config < 0 || walk(part, 0, config, &made->escapes);
  if (done) made->inside = bits_.set();
  std::swap(bits_, other_bits_);
  if (!done || reaches_.over_limit()) return nullptr;
  mask_bytes_ += made->inside.bytes() + made->escapes.size() * sizeof(std::uint32_t);
  kept = std::move(made);
  return kept.get();
}

bool SliceMasks::walk(const Part& part, std::uint32_t root, ConfigId config, Nodes* escapes) {
  const ByteTrie& trie = *part.trie;
  const std::span<const TrieNode> nodes = trie.nodes();
  if (root == 0 && all_below(part, root, config)) {
    bits_.add(part.all);
    return true;
  }
  allowed_.clear();
  const std::uint32_t end = nodes[root].next;
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
    if (all_below(part, i, next)) {
      allow(node.first_token, trie.end_token(node));
      i = node.next;
      continue;
    }
    path_[node.depth] = next;
    allow(node.first_token, node.first_token + node.num_own);
    if (escapes != nullptr && node.next > i + 1 && machine_.leaves(next)) escapes->push_back(i);
    ++i;
  }
  machine_.spend(visited);
  add_allowed(part, root == 0);
  return !machine_.over_budget();
}

// Whether all tokens below are allowed, as far as that shows without a walk.
bool SliceMasks::all_below(const Part& part, std::uint32_t index, ConfigId config) {
  const TrieNode& node = part.trie->nodes()[index];
  const ByteSet* bytes = part.trie->bytes_below(node);
  if (bytes == nullptr) return false;
  const std::uint8_t first = part.trie->nodes()[index + 1].byte;
  // Nothing is known of text that begins within a character.
  if (is_continuation(first) || (bytes->wide && !part.is_text)) return false;
  const bool may_loop = first >= 0x80 || machine_.next(config, first) == config;
  if (may_loop && reaches_.loops(config).includes(*bytes)) return true;
  if (!part.is_text || first_ != 0 || node.next - index <= kLargeSubtree) return false;
  // As many characters as bytes at most.
  return reaches_.reach(config).all >= (node.height == 255 ? kAnyLength : node.height);
}

void SliceMasks::allow(std::uint32_t begin, std::uint32_t end) {
  if (begin == end) return;
  if (!allowed_.empty() && allowed_.back().second == begin)
    allowed_.back().second = end;
  else
    allowed_.emplace_back(begin, end);
}

void SliceMasks::add_allowed(const Part& part, bool whole_trie) {
  const std::span<const TokenId> tokens = part.trie->tokens();
  std::size_t count = 0;
  for (const auto& [begin, end] : allowed_)
    count += end - begin;
  if (!whole_trie || count <= tokens.size() / 2) {
    for (const auto& [begin, end] : allowed_)
      for (std::uint32_t i = begin; i < end; ++i)
        bits_.add(tokens[i]);
    return;
  }
  refused_.clear();
  std::size_t done = 0;
  for (const auto& [begin, end] : allowed_) {
    refused_.insert(refused_.end(), tokens.begin() + static_cast<std::ptrdiff_t>(done), tokens.begin() + begin);
    done = end;
  }
  refused_.insert(refused_.end(), tokens.begin() + static_cast<std::ptrdiff_t>(done), tokens.end());
  bits_.add_but(part.all, refused_);
}

}  // namespace mlxr::grammar
