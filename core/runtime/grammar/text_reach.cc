#include "core/runtime/grammar/text_reach.h"

#include <algorithm>

#include "core/runtime/grammar/token_trie.h"

namespace mlxr::grammar {
namespace {

// Configurations that plain text may lead to before asking about it is given up.
constexpr std::size_t kMaxTextConfigs = 12;

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

TextReach TextReaches::reach(ConfigId config) {
  const auto [place, added] = reaches_.try_emplace(config);
  if (added) place->second = find_reach(config);
  return place->second;
}

TextReach TextReaches::find_reach(ConfigId config) {
  // Text of any length, when the configurations that text leads to are few and all allow it.
  std::vector<ConfigId> seen{config};
  bool closed = true;
  for (std::size_t i = 0; i < seen.size() && closed; ++i) {
    const TextStep& step = any_step(seen[i]);
    closed = step.kind == TextStep::kAll && seen.size() <= kMaxTextConfigs;
    for (const ConfigId next : step.next)
      if (std::find(seen.begin(), seen.end(), next) == seen.end()) seen.push_back(next);
  }
  if (closed) return {kAnyLength, false};
  std::vector<ConfigId> level{config};
  for (int length = 0; length < kMaxReach; ++length) {
    std::size_t num_all = 0;
    std::size_t num_none = 0;
    std::vector<ConfigId> next;
    for (const ConfigId id : level) {
      const TextStep& step = any_step(id);
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
  return {kMaxReach, false};
}

const TextReaches::TextStep& TextReaches::any_step(ConfigId config) {
  const auto [place, added] = any_steps_.try_emplace(config);
  if (added) {
    place->second = find_any_step(config);
    step_bytes_ += place->second.next.size() * sizeof(ConfigId);
  }
  return place->second;
}

const TextReaches::TextStep& TextReaches::wide_step(ConfigId config) {
  const auto [place, added] = wide_steps_.try_emplace(config);
  if (added) {
    place->second = find_wide_step(config);
    step_bytes_ += place->second.next.size() * sizeof(ConfigId);
  }
  return place->second;
}

TextReaches::TextStep TextReaches::find_any_step(ConfigId config) {
  TextStep out;
  bool any_dead = false;
  machine_.spend(128);
  step_range(config, 0x20, '"' - 1, out.next, any_dead);
  step_range(config, '"' + 1, '\\' - 1, out.next, any_dead);
  step_range(config, '\\' + 1, 0x7E, out.next, any_dead);
  if (any_dead && !out.next.empty()) return {};
  const TextStep& wide = wide_step(config);
  if (wide.kind != (any_dead ? TextStep::kNone : TextStep::kAll)) return {};
  out.next.insert(out.next.end(), wide.next.begin(), wide.next.end());
  sort_unique(out.next);
  out.kind = wide.kind;
  return out;
}

TextReaches::TextStep TextReaches::find_wide_step(ConfigId config) {
  TextStep out;
  bool any_dead = false;
  std::vector<ConfigId> from;
  std::vector<ConfigId> to;
  for (const CharacterBytes& character : kCharacters) {
    from.assign(1, config);
    for (int i = 0; i < character.length; ++i) {
      to.clear();
      for (const ConfigId id : from) {
        machine_.spend(32);
        step_range(id, character.bytes[i].low, character.bytes[i].high, to, any_dead);
      }
      sort_unique(to);
      if (to.size() > kMaxTextConfigs) return {};
      from.swap(to);
      // A character that has begun counts as allowed: then nothing is certain.
      if (any_dead && (!from.empty() || !out.next.empty() || i > 0)) return {};
      if (from.empty()) break;
    }
    out.next.insert(out.next.end(), from.begin(), from.end());
  }
  sort_unique(out.next);
  out.kind = any_dead ? TextStep::kNone : TextStep::kAll;
  return out;
}

void TextReaches::step_range(ConfigId config, int low, int high, std::vector<ConfigId>& out, bool& any_dead) {
  for (int byte = low; byte <= high; ++byte) {
    const ConfigId next = machine_.next(config, static_cast<std::uint8_t>(byte));
    over_limit_ = over_limit_ || next == kOverLimit;
    if (next < 0)
      any_dead = true;
    else if (out.empty() || out.back() != next)
      out.push_back(next);
  }
}

const ByteSet& TextReaches::loops(ConfigId config) {
  const auto [place, added] = loops_.try_emplace(config);
  if (!added) return place->second;
  ByteSet found;
  machine_.spend(128);
  for (int byte = 0; byte < 128; ++byte)
    if (machine_.next(config, static_cast<std::uint8_t>(byte)) == config) found.add(static_cast<std::uint8_t>(byte));
  const TextStep& wide = wide_step(config);
  found.wide = wide.kind == TextStep::kAll && wide.next.size() == 1 && wide.next[0] == config;
  return loops_[config] = found;
}

bool TextReaches::take_over_limit() {
  if (!over_limit_) return false;
  over_limit_ = false;
  reaches_.clear();
  any_steps_.clear();
  wide_steps_.clear();
  loops_.clear();
  step_bytes_ = 0;
  return true;
}

std::size_t TextReaches::bytes() const {
  constexpr std::size_t kMapNode = 32;  // what a hash map adds to an entry, about
  return step_bytes_ + reaches_.size() * (sizeof(TextReach) + kMapNode) +
         (any_steps_.size() + wide_steps_.size()) * (sizeof(TextStep) + kMapNode) +
         loops_.size() * (sizeof(ByteSet) + kMapNode);
}

}  // namespace mlxr::grammar
