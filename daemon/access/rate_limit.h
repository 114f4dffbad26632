#pragma once
// TokenBucket: so many units a minute, a minute's worth at once. What is used may be told afterwards, so the level can
// be below nothing. One thread at a time; the clock is passed in and may go back.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace mlxr {

class TokenBucket {
 public:
  using Time = std::chrono::system_clock::time_point;

  // 0: no limit.
  explicit TokenBucket(std::int64_t per_minute = 0)
      : per_minute_(static_cast<double>(per_minute)), level_(static_cast<double>(per_minute)) {}

  bool unlimited() const { return per_minute_ <= 0; }
  // Seconds until `units` are there, 0 when they are now. Takes nothing.
  std::chrono::seconds wait_for(double units, Time now) {
    if (unlimited()) return std::chrono::seconds(0);
    refill(now);
    units = std::min(units, per_minute_);
    if (level_ >= units) return std::chrono::seconds(0);
    const double seconds = std::ceil((units - level_) * 60.0 / per_minute_);
    return std::chrono::seconds(static_cast<std::int64_t>(std::clamp(seconds, 1.0, 1e9)));
  }
  void take(double units, Time now) {
    if (unlimited()) return;
    refill(now);
    level_ -= units;
  }

 private:
  void refill(Time now) {
    const double seconds = std::chrono::duration<double>(now - last_).count();
    // A clock that was set back gives nothing, and takes nothing.
    if (last_ != Time{} && seconds > 0) level_ = std::min(per_minute_, level_ + seconds * per_minute_ / 60.0);
    last_ = now;
  }

  double per_minute_;
  double level_;
  Time last_{};
};

}  // namespace mlxr
