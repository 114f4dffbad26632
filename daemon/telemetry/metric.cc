#include "daemon/telemetry/metric.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <mutex>
#include <numeric>

#include "core/base/check.h"
#include "core/base/utf8.h"

namespace mlxr {
namespace {

std::size_t count_labels(std::string_view labels) {
  return labels.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(labels.begin(), labels.end(), ','));
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    char text[32];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value);
    out.append(text, end);
    static_cast<void>(error);  // 32 characters hold every double
  }
}

// Backslash, quote and line end are escaped; what is not UTF-8 is replaced, since readers refuse a whole page for it.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  while (!text.empty()) {
    const Utf8Char next = decode_utf8(text);
    const std::size_t length = std::max<std::size_t>(next.length, 1);
    if (next.state != Utf8State::kValid) {
      append_utf8(out, kReplacementCharacter);
    } else if (text[0] == '\\') {
      out += "\\\\";
    } else if (text[0] == '\n') {
      out += "\\n";
    } else if (text[0] == '"' && quotes) {
      out += "\\\"";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
}

class LabelWriter {
 public:
  explicit LabelWriter(std::string& out) : out_(out) {}
  void add(std::string_view name, std::string_view value) {
    out_ += first_ ? "{" : ",";
    first_ = false;
    out_ += name;
    out_ += "=\"";
    append_escaped(out_, value, true);
    out_ += '"';
  }
  void end() {
    if (!first_) out_ += '}';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

void append_labels(std::string& out, const MetricInfo& info, const std::vector<std::string>& values,
                   std::string_view le = {}) {
  LabelWriter labels(out);
  std::string_view names = info.labels;
  for (const std::string& value : values) {
    const std::size_t comma = std::min(names.find(','), names.size());
    labels.add(names.substr(0, comma), value);
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  // vLLM tells its engine processes apart; here each model has one.
  if (info.name.starts_with("vllm:")) labels.add("engine", "0");
  if (!le.empty()) labels.add("le", le);
  labels.end();
}

void append_value(std::string& out, double value) {
  out += ' ';
  append_number(out, value);
  out += '\n';
}

// OpenMetrics names the family of a counter without _total, Prometheus' format with it.
void append_head(std::string& out, const MetricInfo& info, std::string_view type, MetricsFormat format) {
  const bool total = type == "counter" && format == MetricsFormat::kPrometheus;
  for (const std::string_view word : {"# HELP ", "# TYPE "}) {
    out += word;
    out += info.name;
    out += total ? "_total " : " ";
    if (word == "# HELP ") {
      append_escaped(out, info.help, format == MetricsFormat::kOpenMetrics);
    } else {
      out += type;
    }
    out += '\n';
  }
}

// `lines(values, metric)` once a child, after the head, which only a family with children has.
template <class Metric, class Lines>
void write_with_head(const MetricFamily<Metric>& family, std::string_view type, MetricsFormat format, std::string& out,
                     Lines&& lines) {
  bool first = true;
  family.visit([&](const std::vector<std::string>& values, const Metric& metric) {
    if (first) append_head(out, family.info(), type, format);
    first = false;
    lines(values, metric);
  });
}

}  // namespace

Histogram::Histogram(std::span<const double> buckets)
    : buckets_(buckets), counts_(std::make_unique<std::atomic<std::uint64_t>[]>(buckets.size() + 1)) {
  MLXR_CHECK(std::is_sorted(buckets.begin(), buckets.end()), "buckets must rise");
}

void Histogram::observe(double value, std::uint64_t times) {
  if (std::isnan(value) || times == 0) return;
  const auto bucket = std::lower_bound(buckets_.begin(), buckets_.end(), value);
  counts_[static_cast<std::size_t>(bucket - buckets_.begin())].fetch_add(times, std::memory_order_relaxed);
  telemetry_detail::add(sum_, value * static_cast<double>(times));
}

Histogram::Reading Histogram::read() const {
  Reading reading;
  reading.counts.resize(buckets_.size() + 1);
  for (std::size_t i = 0; i < reading.counts.size(); ++i)
    reading.counts[i] = counts_[i].load(std::memory_order_relaxed);
  reading.sum = sum_.load(std::memory_order_relaxed);
  return reading;
}

std::uint64_t Histogram::Reading::count() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

template <class Metric>
Metric& MetricFamily<Metric>::with(std::vector<std::string> values) {
  MLXR_CHECK(values.size() == count_labels(info_.labels), "a metric has as many values as labels");
  {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    const auto found = children_.find(values);
    if (found != children_.end()) {
      if (!found->second.shown.load(std::memory_order_relaxed))
        found->second.shown.store(true, std::memory_order_relaxed);
      return *found->second.metric;
    }
  }
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  if (children_.size() >= kMaxChildren && children_.find(values) == children_.end()) {
    for (std::string& value : values)
      value = "other";
  }
  Child& child = children_[std::move(values)];
  if (child.metric == nullptr) child.metric = std::make_unique<Metric>(info_.buckets);
  child.shown.store(true, std::memory_order_relaxed);
  return *child.metric;
}

template <class Metric>
void MetricFamily<Metric>::hide(const std::string& value) {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  for (auto& [values, child] : children_) {
    if (!values.empty() && values.front() == value) child.shown.store(false, std::memory_order_relaxed);
  }
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

void write_family(const MetricFamily<Counter>& family, MetricsFormat format, std::string& out) {
  write_with_head(family, "counter", format, out, [&](const std::vector<std::string>& values, const Counter& counter) {
    out += family.info().name;
    out += "_total";
    append_labels(out, family.info(), values);
    append_value(out, counter.value());
  });
}

void write_family(const MetricFamily<Gauge>& family, MetricsFormat format, std::string& out) {
  write_with_head(family, "gauge", format, out, [&](const std::vector<std::string>& values, const Gauge& gauge) {
    out += family.info().name;
    append_labels(out, family.info(), values);
    append_value(out, gauge.value());
  });
}

void write_family(const MetricFamily<Histogram>& family, MetricsFormat format, std::string& out) {
  write_with_head(family, "histogram", format, out,
                  [&](const std::vector<std::string>& values, const Histogram& histogram) {
                    const MetricInfo& info = family.info();
                    const Histogram::Reading reading = histogram.read();
                    std::uint64_t below = 0;
                    for (std::size_t i = 0; i < reading.counts.size(); ++i) {
                      below += reading.counts[i];
                      std::string end = "+Inf";
                      if (i < histogram.buckets().size()) {
                        end.clear();
                        append_number(end, histogram.buckets()[i]);
                        // OpenMetrics wants the ends as floats: 1.0, not 1.
                        if (end.find_first_of(".e") == std::string::npos) end += ".0";
                      }
                      out += info.name;
                      out += "_bucket";
                      append_labels(out, info, values, end);
                      append_value(out, static_cast<double>(below));
                    }
                    const auto line = [&](std::string_view suffix, double value) {
                      out += info.name;
                      out += suffix;
                      append_labels(out, info, values);
                      append_value(out, value);
                    };
                    line("_sum", reading.sum);
                    line("_count", static_cast<double>(below));
                  });
}

}  // namespace mlxr
