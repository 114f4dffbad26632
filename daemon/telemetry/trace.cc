#include "daemon/telemetry/trace.h"

#include <algorithm>
#include <random>

#include <fmt/core.h>

namespace mlxr {
namespace {

// Ids need not be hard to guess, only different.
std::string random_hex(std::size_t digits) {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::string out;
  while (out.size() < digits)
    out += fmt::format("{:016x}", generator());
  out.resize(digits);
  return out;
}

bool is_id(std::string_view text) {
  const bool hex = text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return hex && text.find_first_not_of('0') != std::string_view::npos;
}

// https://www.w3.org/TR/trace-context: version, trace id, parent id, flags.
bool parse_traceparent(std::string_view text, std::string& trace_id, std::string& parent_id) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  if (version.find_first_not_of("0123456789abcdef") != std::string_view::npos || version == "ff") return false;
  if (version == "00" && text.size() != 55) return false;
  if (!is_id(text.substr(3, 32)) || !is_id(text.substr(36, 16))) return false;
  trace_id = text.substr(3, 32);
  parent_id = text.substr(36, 16);
  return true;
}

}  // namespace

RequestTrace::RequestTrace(TraceIdentity identity, TraceTime start, std::int64_t start_unix_ns)
    : identity_(std::move(identity)),
      span_id_(random_hex(16)),
      start_(start),
      start_unix_ns_(start_unix_ns),
      end_(start) {
  if (!parse_traceparent(identity_.traceparent, trace_id_, parent_span_id_)) trace_id_ = random_hex(32);
}

std::size_t RequestTrace::begin(std::string name, TraceTime at) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spans_.size() >= kMaxSpans || finished_) {
    ++dropped_;
    return kMaxSpans;
  }
  spans_.push_back({std::move(name), at, at, true, {}});
  return spans_.size() - 1;
}

void RequestTrace::end(std::size_t span, TraceTime at, TraceAttributes attributes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (span >= spans_.size() || !spans_[span].open) return;
  spans_[span].end = std::max(at, spans_[span].start);
  spans_[span].open = false;
  spans_[span].attributes = std::move(attributes);
}

void RequestTrace::add(std::string name, TraceTime start, TraceTime end, TraceAttributes attributes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (spans_.size() >= kMaxSpans || finished_) {
    ++dropped_;
    return;
  }
  spans_.push_back({std::move(name), start, std::max(start, end), false, std::move(attributes)});
}

void RequestTrace::event(std::string name, TraceTime at, TraceAttributes attributes) {
  add(std::move(name), at, at, std::move(attributes));
}

void RequestTrace::set(std::string name, TraceValue value) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found =
      std::find_if(attributes_.begin(), attributes_.end(), [&](const auto& entry) { return entry.first == name; });
  if (found != attributes_.end()) {
    found->second = std::move(value);
  } else {
    attributes_.emplace_back(std::move(name), std::move(value));
  }
}

void RequestTrace::set_model(std::string model) {
  const std::lock_guard<std::mutex> lock(mutex_);
  identity_.model = std::move(model);
}

RequestTrace::Snapshot RequestTrace::snapshot() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {identity_,      trace_id_, parent_span_id_, span_id_,    start_, end_,
          start_unix_ns_, finished_, result_,         attributes_, spans_, dropped_};
}

bool RequestTrace::finish(std::string result, TraceTime at) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (finished_) return false;
  finished_ = true;
  result_ = std::move(result);
  end_ = std::max(at, start_);
  for (TraceSpan& span : spans_) {
    if (span.open) span.end = std::max(span.start, end_);
    span.open = false;
  }
  return true;
}

TraceStore::TraceStore(std::size_t keep, std::function<void(std::shared_ptr<const RequestTrace>)> on_finished)
    : keep_(keep), on_finished_(std::move(on_finished)) {}

std::shared_ptr<RequestTrace> TraceStore::start(TraceIdentity identity, TraceTime at) {
  using std::chrono::nanoseconds;
  const auto age = std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now() - at);
  const auto now = std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch());
  auto trace = std::make_shared<RequestTrace>(std::move(identity), at, (now - age).count());
  const std::lock_guard<std::mutex> lock(mutex_);
  if (keep_ == 0) return trace;
  ring_.push_back(trace);
  by_id_[trace->request_id()] = trace;
  // A request that is still open keeps its trace alive by itself when it is pushed out here.
  while (ring_.size() > keep_) {
    const auto found = by_id_.find(ring_.front()->request_id());
    if (found != by_id_.end() && found->second == ring_.front()) by_id_.erase(found);
    ring_.pop_front();
  }
  return trace;
}

void TraceStore::finish(const std::shared_ptr<RequestTrace>& trace, std::string result, TraceTime at) {
  if (trace != nullptr && trace->finish(std::move(result), at) && on_finished_) on_finished_(trace);
}

std::shared_ptr<const RequestTrace> TraceStore::find(std::string_view request_id) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_id_.find(std::string(request_id));
  return found == by_id_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const RequestTrace>> TraceStore::latest(std::size_t count) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::size_t taken = std::min(count, ring_.size());
  return {ring_.rbegin(), ring_.rbegin() + static_cast<std::ptrdiff_t>(taken)};
}

void TraceStore::set_keep(std::size_t keep) {
  const std::lock_guard<std::mutex> lock(mutex_);
  keep_ = keep;
  while (ring_.size() > keep_) {
    const auto found = by_id_.find(ring_.front()->request_id());
    if (found != by_id_.end() && found->second == ring_.front()) by_id_.erase(found);
    ring_.pop_front();
  }
}

}  // namespace mlxr
