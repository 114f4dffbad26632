#pragma once
// Why an answer ended.

#include <cstdint>

namespace mlxr {

enum class FinishReason : std::uint8_t {
  kEndOfText,    // the model ended its turn
  kStopString,   // a stop string appeared; it is not part of the text
  kMaxTokens,    // as many tokens as were asked for
  kContextFull,  // no room for another token
  kCancelled,
};

const char* finish_reason_name(FinishReason reason);

}  // namespace mlxr
