#pragma once
// What an answer is made of, in the order in which it was written.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mlxr {

struct OutputPiece {
  enum class Kind : std::uint8_t {
    kText,
    kReasoning,
    kCall,       // a tool call begins; the text is the function's name
    kArguments,  // more of its arguments, which together are a JSON object
    kCallEnd,    // it is complete
  };
  Kind kind = Kind::kText;
  std::string text;
};

// Adds to the last piece where that is of the same kind, so that how a text came in pieces does not show.
inline void add_piece(std::vector<OutputPiece>& pieces, OutputPiece::Kind kind, std::string text) {
  const bool grows = kind == OutputPiece::Kind::kText || kind == OutputPiece::Kind::kReasoning ||
                     kind == OutputPiece::Kind::kArguments;
  if (grows && text.empty()) return;
  if (grows && !pieces.empty() && pieces.back().kind == kind) {
    pieces.back().text += text;
    return;
  }
  pieces.push_back({kind, std::move(text)});
}

}  // namespace mlxr
