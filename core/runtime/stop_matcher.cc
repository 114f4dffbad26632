#include "core/runtime/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace mlxr {

bool StopMatcher::Stop::advance(char next) {
  while (matched > 0 && next != text[matched])
    matched = borders[matched - 1];
  if (next == text[matched]) ++matched;
  return matched == text.size();
}

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& text : stops) {
    if (text.empty()) continue;
    Stop stop{text, std::vector<std::size_t>(text.size(), 0), 0};
    for (std::size_t i = 1; i < text.size(); ++i) {
      stop.advance(text[i]);
      stop.borders[i] = stop.matched;
    }
    stop.matched = 0;
    stops_.push_back(std::move(stop));
  }
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped()) return {};
  for (const char next : text) {
    held_ += next;
    const Stop* longest = nullptr;
    for (Stop& stop : stops_) {
      if (stop.advance(next) && (longest == nullptr || stop.text.size() > longest->text.size())) longest = &stop;
    }
    if (longest != nullptr) {
      stopped_by_ = longest->text;
      held_.resize(held_.size() - longest->text.size());
      return std::exchange(held_, {});
    }
  }
  std::size_t kept = 0;
  for (const Stop& stop : stops_)
    kept = std::max(kept, stop.matched);
  std::string safe = held_.substr(0, held_.size() - kept);
  held_.erase(0, safe.size());
  return safe;
}

std::string StopMatcher::flush() {
  return std::exchange(held_, {});
}

}  // namespace mlxr
