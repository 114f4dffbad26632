#include "core/runtime/sampler/candidates.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "core/base/check.h"
#include "core/runtime/sampler/exponential.h"

namespace mlxr {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
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

float cleaned(float logit) {
  const float number = logit == logit ? logit : kNever;
  return number < kLargest ? number : kLargest;
}

// exp(logit - highest), where a candidate that is impossible has no weight even when all are.
float weight(float logit, float highest) {
  return logit == kNever ? 0.0F : exp_negative(logit - highest);
}

}  // namespace

TokenId most_likely(std::span<const float> logits) {
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
  const auto tail = logits.subspan(std::min(best_block, logits.size()));
  const auto place = std::find(tail.begin(), tail.end(), highest);
  if (place == tail.end()) return 0;
  return static_cast<TokenId>(best_block + static_cast<std::size_t>(place - tail.begin()));
}

void Candidates::assign(std::span<const float> logits) {
  whole_ = true;
  logits_.resize(logits.size());
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      logits_[i + lane] = cleaned(logits[i + lane]);
  }
  for (; i < logits.size(); ++i)
    logits_[i] = cleaned(logits[i]);
  block_maxima_.clear();
  sorted_.clear();
  list_.clear();
}

float* Candidates::logit_of(TokenId token) {
  MLXR_DCHECK(whole_, "the candidates have been cut");
  const auto index = static_cast<std::size_t>(token);
  return token >= 0 && index < logits_.size() ? &logits_[index] : nullptr;
}

void Candidates::add(TokenId token, float amount) {
  if (float* logit = logit_of(token)) *logit = cleaned(*logit + amount);
}

void Candidates::find_block_maxima() {
  if (!block_maxima_.empty()) return;
  for (std::size_t start = 0; start < logits_.size(); start += kBlock) {
    block_maxima_.push_back(block_maximum(logits_.data() + start, std::min(kBlock, logits_.size() - start)));
  }
}

float Candidates::highest() {
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
      if (logits_[i] >= threshold) sorted_.push_back({static_cast<TokenId>(i), logits_[i]});
    }
  }
  const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(std::min(count, sorted_.size()));
  if (end != sorted_.end()) std::nth_element(sorted_.begin(), end, sorted_.end(), before);
  sorted_.erase(end, sorted_.end());
  std::sort(sorted_.begin(), sorted_.end(), before);
}

std::span<const Candidate> Candidates::best(std::size_t count) {
  count = std::min(count, size());
  if (!whole_) return std::span(list_).first(count);
  if (sorted_.size() < count) select(count);
  return std::span(sorted_).first(count);
}

void Candidates::keep_best(std::size_t count) {
  count = std::clamp<std::size_t>(count, 1, std::max<std::size_t>(size(), 1));
  if (!whole_) {
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
  whole_ = false;
}

double Candidates::weight_sum() {
  const float top = highest();
  double sum = 0;
  if (!whole_) {
    for (const Candidate& candidate : list_)
      sum += static_cast<double>(weight(candidate.logit, top));
    return sum;
  }
  std::array<float, kLanes> weights{};
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= logits_.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      weights[lane] = exp_negative(logits_[i + lane] - top);
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(weights[lane]);
  }
  for (; i < logits_.size(); ++i)
    sums[0] += static_cast<double>(weight(logits_[i], top));
  for (const double lane : sums)
    sum += lane;
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
  for (float& logit : logits_)
    logit = (logit - top) / divisor;
  block_maxima_.clear();
  sorted_.clear();
}

TokenId Candidates::at(double unit) {
  const float top = highest();
  if (top == kNever) return whole_ || list_.empty() ? 0 : list_.front().token;
  const double target = unit * weight_sum();
  double sum = 0;
  TokenId last = 0;
  const auto visit = [&](TokenId token, float logit) {
    const auto share = static_cast<double>(weight(logit, top));
    if (share > 0) last = token;
    sum += share;
    return sum > target && share > 0;
  };
  if (!whole_) {
    for (const Candidate& candidate : list_) {
      if (visit(candidate.token, candidate.logit)) return candidate.token;
    }
    return last;
  }
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    if (visit(static_cast<TokenId>(i), logits_[i])) return static_cast<TokenId>(i);
  }
  return last;
}

}  // namespace mlxr
