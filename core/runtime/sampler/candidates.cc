#include "core/runtime/sampler/candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

#include "core/base/check.h"
#include "core/runtime/sampler/exponential.h"

namespace mlxr {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr std::size_t kMaskBits = 64;
constexpr std::uint64_t kAllBits = ~std::uint64_t{0};
constexpr std::size_t kLanes = 16;  // loops of this length become vector code

bool before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// A NaN compares false with everything, so it never becomes the maximum.
float block_maximum(const float* values, std::size_t count) {
  std::array<float, kLanes> lanes;
  lanes.fill(kNever);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  for (; i < count; ++i)
    lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
  float highest = kNever;
  for (const float lane : lanes)
    highest = lane > highest ? lane : highest;
  return highest;
}

// NaN -> -inf, inf -> the largest float. On bits, for the reason given in exponential.h.
float cleaned(float logit) {
  constexpr std::int32_t kInfinity = 0x7f800000;
  const std::int32_t bits = std::bit_cast<std::int32_t>(logit);
  const std::int32_t is_nan = -static_cast<std::int32_t>((bits & 0x7fffffff) > kInfinity);
  const std::int32_t number = (std::bit_cast<std::int32_t>(kNever) & is_nan) | (bits & ~is_nan);
  return std::bit_cast<float>(number - static_cast<std::int32_t>(number == kInfinity));  // the largest is one below
}

// to[i] = function(from[i]), by way of a local array, which the compiler knows to be apart from both.
template <class Function>
void transform(std::span<const float> from, std::span<float> to, Function function) {
  std::size_t i = 0;
  for (; i + kLanes <= from.size(); i += kLanes) {
    std::array<float, kLanes> lanes;
    std::memcpy(lanes.data(), from.data() + i, sizeof(lanes));
    for (float& lane : lanes)
      lane = function(lane);
    std::memcpy(to.data() + i, lanes.data(), sizeof(lanes));
  }
  for (; i < from.size(); ++i)
    to[i] = function(from[i]);
}

// Calls visit(word, start, count) for each stretch of 64 logits.
template <class Visit>
void each_word(TokenMask allowed, std::size_t size, Visit visit) {
  for (std::size_t start = 0; start < size; start += kMaskBits) {
    const std::size_t word = start / kMaskBits;
    visit(word < allowed.size() ? allowed[word] : 0, start, std::min(kMaskBits, size - start));
  }
}

TokenId most_likely_of_all(std::span<const float> logits) {
  constexpr std::size_t kBlock = 1024;
  float highest = kNever;
  std::size_t best_block = 0;
  for (std::size_t start = 0; start < logits.size(); start += kBlock) {
    const float value = block_maximum(logits.data() + start, std::min(kBlock, logits.size() - start));
    if (value > highest) {
      highest = value;
      best_block = start;
    }
  }
  if (highest == kNever) return kNoCandidate;
  const auto tail = logits.subspan(best_block);
  return static_cast<TokenId>(best_block) +
         static_cast<TokenId>(std::find(tail.begin(), tail.end(), highest) - tail.begin());
}

}  // namespace

TokenId most_likely(std::span<const float> logits, TokenMask allowed) {
  if (allowed.empty()) return most_likely_of_all(logits);
  float highest = kNever;
  TokenId best = kNoCandidate;
  each_word(allowed, logits.size(), [&](std::uint64_t word, std::size_t start, std::size_t count) {
    if (word == 0) return;
    if (word == kAllBits && block_maximum(logits.data() + start, count) <= highest) return;
    for (; word != 0; word &= word - 1) {
      const std::size_t i = start + static_cast<std::size_t>(std::countr_zero(word));
      if (i >= logits.size()) break;
      if (logits[i] > highest) {
        highest = logits[i];
        best = static_cast<TokenId>(i);
      }
    }
  });
  return best;
}

// Sorting a few costs less than reading all.
bool Candidates::assign_list(std::span<const float> logits, TokenMask allowed) {
  constexpr std::size_t kFew = 512;
  std::size_t count = 0;
  for (const std::uint64_t word : allowed)
    count += static_cast<std::size_t>(std::popcount(word));
  if (count > kFew || count * 16 > logits.size()) return false;
  each_word(allowed, logits.size(), [&](std::uint64_t word, std::size_t start, std::size_t size) {
    for (; word != 0; word &= word - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(word));
      const float logit = i < size ? cleaned(logits[start + i]) : kNever;
      if (logit > kNever) list_.push_back({static_cast<TokenId>(start + i), logit});
    }
  });
  whole_ = false;
  changed_ = true;
  return true;
}

void Candidates::assign(std::span<const float> logits, TokenMask allowed) {
  whole_ = true;
  changed_ = false;
  block_maxima_.clear();
  sorted_.clear();
  list_.clear();
  places_.clear();
  logits_.resize(logits.size());
  if (!allowed.empty() && assign_list(logits, allowed)) return;
  if (allowed.empty()) {
    transform(logits, logits_, [](float logit) { return cleaned(logit); });
  } else {
    each_word(allowed, logits.size(), [&](std::uint64_t word, std::size_t start, std::size_t count) {
      const auto to = std::span(logits_).subspan(start, count);
      if (word == kAllBits) {
        transform(logits.subspan(start, count), to, [](float logit) { return cleaned(logit); });
        return;
      }
      std::fill(to.begin(), to.end(), kNever);
      for (; word != 0; word &= word - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(word));
        if (i < count) to[i] = cleaned(logits[start + i]);
      }
    });
  }
}

float* Candidates::logit_of(TokenId token) {
  const auto index = static_cast<std::size_t>(token);
  if (token < 0 || index >= logits_.size()) return nullptr;
  if (whole_) {
    block_maxima_.clear();
    sorted_.clear();
    return &logits_[index];
  }
  if (list_.size() <= kLanes) {
    for (Candidate& candidate : list_) {
      if (candidate.token != token) continue;
      changed_ = true;
      return &candidate.logit;
    }
    return nullptr;
  }
  if (places_.empty()) {
    places_.assign(logits_.size(), 0);
    for (std::size_t i = 0; i < list_.size(); ++i)
      places_[static_cast<std::size_t>(list_[i].token)] = static_cast<std::uint32_t>(i + 1);
  }
  if (places_[index] == 0) return nullptr;
  changed_ = true;
  return &list_[places_[index] - 1].logit;
}

void Candidates::add(TokenId token, float amount) {
  if (float* logit = logit_of(token)) *logit = cleaned(*logit + amount);
}

void Candidates::settle() {
  if (!changed_) return;
  std::sort(list_.begin(), list_.end(), before);
  places_.clear();
  changed_ = false;
}

void Candidates::find_block_maxima() {
  if (!block_maxima_.empty()) return;
  for (std::size_t start = 0; start < logits_.size(); start += kBlock) {
    block_maxima_.push_back(block_maximum(logits_.data() + start, std::min(kBlock, logits_.size() - start)));
  }
}

float Candidates::highest() {
  settle();
  if (!whole_) return list_.empty() ? kNever : list_.front().logit;
  find_block_maxima();
  return block_maximum(block_maxima_.data(), block_maxima_.size());
}

// With the count-th highest block maximum as a threshold, at least `count` logits reach it, all of the best `count` are
// among them, and only blocks whose maximum reaches it need to be read.
void Candidates::select(std::size_t count) {
  find_block_maxima();
  float threshold = kNever;
  if (count < block_maxima_.size()) {
    scratch_ = block_maxima_;
    const auto nth = scratch_.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::nth_element(scratch_.begin(), nth, scratch_.end(), std::greater<>());
    threshold = *nth;
  }
  sorted_.clear();
  for (std::size_t block = 0; block < block_maxima_.size(); ++block) {
    if (block_maxima_[block] < threshold) continue;
    const std::size_t end = std::min((block + 1) * kBlock, logits_.size());
    for (std::size_t i = block * kBlock; i < end; ++i) {
      if (logits_[i] >= threshold && logits_[i] > kNever) sorted_.push_back({static_cast<TokenId>(i), logits_[i]});
    }
  }
  const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(std::min(count, sorted_.size()));
  if (end != sorted_.end()) std::nth_element(sorted_.begin(), end, sorted_.end(), before);
  sorted_.erase(end, sorted_.end());
  std::sort(sorted_.begin(), sorted_.end(), before);
}

std::span<const Candidate> Candidates::best(std::size_t count) {
  count = std::min(count, size());
  settle();
  if (!whole_) return std::span(list_).first(count);
  if (sorted_.size() < count) select(count);
  return std::span(sorted_).first(std::min(count, sorted_.size()));
}

void Candidates::keep_best(std::size_t count) {
  count = std::clamp<std::size_t>(count, 1, std::max<std::size_t>(size(), 1));
  if (!whole_) {
    settle();
    places_.clear();
    list_.resize(std::min(count, list_.size()));
    return;
  }
  if (count >= logits_.size()) return;
  const auto kept = best(count);
  list_.assign(kept.begin(), kept.end());
  whole_ = false;
}

void Candidates::replace(std::vector<Candidate> list) {
  std::sort(list.begin(), list.end(), before);
  list_ = std::move(list);
  places_.clear();
  whole_ = false;
  changed_ = false;
}

void Candidates::keep_from(float lowest) {
  constexpr std::size_t kFirstLook = 128;
  std::size_t read = 0;
  for (std::size_t count = kFirstLook; read < size(); count *= 4) {
    const auto some = best(count);
    for (; read < some.size(); ++read) {
      if (some[read].logit < lowest) return keep_best(read);
    }
    if (some.size() < count) return;
  }
}

void Candidates::drop_best(std::size_t count) {
  MLXR_DCHECK(count < size(), "no candidate would be left");
  const auto dropped = best(count);
  if (whole_) {
    for (const Candidate& candidate : dropped)
      logits_[static_cast<std::size_t>(candidate.token)] = kNever;
    block_maxima_.clear();
    sorted_.clear();
    return;
  }
  list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count));
  places_.clear();
}

// Comparisons of a block at a time, so that they become vector code.
std::size_t Candidates::rank_of(TokenId token) {
  if (!whole_) {
    settle();
    const auto is_it = [token](const Candidate& candidate) { return candidate.token == token; };
    return static_cast<std::size_t>(std::find_if(list_.begin(), list_.end(), is_it) - list_.begin());
  }
  const auto place = static_cast<std::size_t>(token);
  if (token < 0 || place >= logits_.size()) return size();
  const float logit = logits_[place];
  std::size_t rank = 0;
  const auto count = [&](std::size_t start, std::size_t end, auto comes_before) {
    for (; start + kBlock <= end; start += kBlock) {
      std::int32_t some = 0;
      for (std::size_t i = 0; i < kBlock; ++i)
        some += static_cast<std::int32_t>(comes_before(logits_[start + i]));
      rank += static_cast<std::size_t>(some);
    }
    for (; start < end; ++start)
      rank += static_cast<std::size_t>(comes_before(logits_[start]));
  };
  count(0, place, [logit](float other) { return other >= logit; });
  count(place + 1, logits_.size(), [logit](float other) { return other > logit; });
  return rank;
}

// Sums of kLanes each, so that additions need not wait for each other.
Candidates::Spread Candidates::spread() {
  const auto top = static_cast<double>(highest());
  std::array<double, kLanes> sums{};
  std::array<double, kLanes> squares{};
  std::size_t counted = 0;
  const auto add = [&](std::size_t lane, float logit) {
    const double below = static_cast<double>(logit) - top;
    sums[lane] += below;
    squares[lane] += below * below;
  };
  std::size_t i = 0;
  for (; whole_ && i + kLanes <= logits_.size(); i += kLanes) {
    const auto some = std::span(logits_).subspan(i, kLanes);
    std::size_t possible = 0;
    for (const float logit : some)
      possible += static_cast<std::size_t>(logit > kNever);
    counted += possible;
    if (possible == kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        add(lane, some[lane]);
      continue;
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (some[lane] > kNever) add(lane, some[lane]);
    }
  }
  for (; i < size(); ++i) {
    const float logit = whole_ ? logits_[i] : list_[i].logit;
    if (logit == kNever) continue;
    add(i % kLanes, logit);
    ++counted;
  }
  if (counted == 0) return {};
  const double mean = std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(counted);
  const double square = std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(counted);
  return {counted, std::sqrt(std::max(square - mean * mean, 0.0))};
}

double Candidates::weight_sum() {
  const float top = highest();
  double sum = 0;
  if (!whole_) {
    for (const Candidate& candidate : list_)
      sum += static_cast<double>(exp_negative(candidate.logit - top));
    return sum;
  }
  weight_sums_.compute(logits_, top, block_sums_);
  for (const double block : block_sums_)
    sum += block;
  return sum;
}

void Candidates::divide(float divisor) {
  const float top = highest();
  if (top == kNever) return;
  // Measured from the highest, so that a small divisor cannot overflow.
  if (!whole_) {
    for (Candidate& candidate : list_)
      candidate.logit = (candidate.logit - top) / divisor;
    return;
  }
  transform(logits_, logits_, [top, divisor](float logit) { return (logit - top) / divisor; });
  block_maxima_.clear();
  sorted_.clear();
}

Candidates::Draw Candidates::at(double unit) {
  MLXR_DCHECK(highest() > kNever, "there is nothing to draw");
  return whole_ ? draw_from_whole(unit) : draw_from_list(unit);
}

Candidates::Draw Candidates::draw_from_list(double unit) {
  const double total = weight_sum();
  const float top = highest();
  double sum = 0;
  for (const Candidate& candidate : list_) {
    const auto weight = static_cast<double>(exp_negative(candidate.logit - top));
    sum += weight;
    if (sum > unit * total) return {candidate.token, weight / total};
  }
  return {list_.front().token, 1.0 / total};  // rounding let the point fall behind the last one
}

Candidates::Draw Candidates::draw_from_whole(double unit) {
  const double total = weight_sum();
  const float top = highest();
  const double target = unit * total;
  double sum = 0;
  std::size_t block = 0;
  while (block + 1 < block_sums_.size() && sum + block_sums_[block] <= target)
    sum += block_sums_[block++];
  Draw last{static_cast<TokenId>(std::find(logits_.begin(), logits_.end(), top) - logits_.begin()), 1.0 / total};
  for (std::size_t i = block * kBlock; i < std::min((block + 1) * kBlock, logits_.size()); ++i) {
    const auto weight = static_cast<double>(exp_negative(logits_[i] - top));
    if (weight > 0) last = {static_cast<TokenId>(i), weight / total};
    sum += weight;
    if (sum > target && weight > 0) break;
  }
  return last;
}

}  // namespace mlxr
