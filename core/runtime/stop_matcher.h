#pragma once
// Stop strings over streamed text. Text comes in pieces; what cannot become part of a stop string any more goes out.
// The stop string that is complete first ends the text, the longest if several end at the same character; neither it
// nor anything after it is ever shown. How the text was cut into pieces makes no difference. Work is linear in the text
// for each stop string, and pieces that end between characters come out so.
//
// Not thread-safe; one belongs to each sequence.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlxr {

class StopMatcher {
 public:
  // Empty strings are ignored.
  explicit StopMatcher(const std::vector<std::string>& stops);

  // The text that is safe to show now; nothing more after a stop.
  std::string push(std::string_view text);
  // The end of the text: what was held back and has not become a stop string.
  std::string flush();

  // The stop string that ended the text.
  const std::optional<std::string>& stopped_by() const { return stopped_by_; }
  bool stopped() const { return stopped_by_.has_value(); }

 private:
  // A stop string and how much of it the end of the text matches (Knuth, Morris and Pratt, 1977).
  struct Stop {
    std::string text;
    std::vector<std::size_t> borders;  // of each prefix, the longest that is also its suffix
    std::size_t matched = 0;

    // Takes the next character; true when the stop string is complete.
    bool advance(char next);
  };

  std::vector<Stop> stops_;
  std::string held_;  // text that has not been given out
  std::optional<std::string> stopped_by_;
};

}  // namespace mlxr
