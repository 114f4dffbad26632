#pragma once
// Counters, gauges and histograms that Prometheus can read. Adding to one takes no lock; finding one by its labels
// does, so what happens often keeps the reference, which holds as long as its family.
//
// Own code because the hot path must not lock (a token of every stream goes through it) and the names come from a
// table; the text format is Prometheus' exposition format 0.0.4 and OpenMetrics 1.0.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlxr {

namespace telemetry_detail {
inline void add(std::atomic<double>& to, double value) {
  double seen = to.load(std::memory_order_relaxed);
  while (!to.compare_exchange_weak(seen, seen + value, std::memory_order_relaxed)) {
  }
}
}  // namespace telemetry_detail

// Only grows.
class Counter {
 public:
  explicit Counter(std::span<const double> /*buckets*/ = {}) {}
  void add(double value = 1.0) { telemetry_detail::add(value_, value); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0.0};
};

class Gauge {
 public:
  explicit Gauge(std::span<const double> /*buckets*/ = {}) {}
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double value) { telemetry_detail::add(value_, value); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0.0};
};

class Histogram {
 public:
  // Upper ends, rising; the last one, infinity, is added.
  explicit Histogram(std::span<const double> buckets);
  void observe(double value, std::uint64_t times = 1);

  struct Reading {
    std::vector<std::uint64_t> counts;  // a bucket each, not summed up; one more than buckets()
    double sum = 0.0;
    std::uint64_t count() const;
  };
  Reading read() const;
  std::span<const double> buckets() const { return buckets_; }

 private:
  std::span<const double> buckets_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0.0};
};

// What stands in front of the values of a metric.
struct MetricInfo {
  std::string_view name;    // without _total
  std::string_view labels;  // "model_name,result"; empty: none
  std::string_view help;
  std::span<const double> buckets = {};
};

// All metrics of one name, by the values of their labels. Label values come from outside: beyond `max_children` of
// them, all others share one with the values "other".
template <class Metric>
class MetricFamily {
 public:
  static constexpr std::size_t kMaxChildren = 2000;
  explicit MetricFamily(const MetricInfo& info) : info_(info) {}
  MetricFamily(const MetricFamily&) = delete;
  MetricFamily& operator=(const MetricFamily&) = delete;

  // As many values as there are labels.
  Metric& with(std::vector<std::string> values);
  Metric& with() { return with(std::vector<std::string>{}); }
  // Those whose first label is `value` are not shown any more until they are asked for again; references stay good, and
  // so do counts.
  void hide(const std::string& value);

  const MetricInfo& info() const { return info_; }
  // All that are shown, in the order of their values, under a shared lock.
  template <class Visit>
  void visit(Visit&& visit) const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    for (const auto& [values, child] : children_) {
      if (child.shown.load(std::memory_order_relaxed)) visit(values, *child.metric);
    }
  }

 private:
  struct Child {
    std::unique_ptr<Metric> metric;
    std::atomic<bool> shown{true};
  };
  MetricInfo info_;
  mutable std::shared_mutex mutex_;
  std::map<std::vector<std::string>, Child> children_;
};

extern template class MetricFamily<Counter>;
extern template class MetricFamily<Gauge>;
extern template class MetricFamily<Histogram>;

enum class MetricsFormat : std::uint8_t { kPrometheus, kOpenMetrics };

// Appends the lines of a family: HELP, TYPE, values. Nothing when it has no values.
void write_family(const MetricFamily<Counter>& family, MetricsFormat format, std::string& out);
void write_family(const MetricFamily<Gauge>& family, MetricsFormat format, std::string& out);
void write_family(const MetricFamily<Histogram>& family, MetricsFormat format, std::string& out);

}  // namespace mlxr
