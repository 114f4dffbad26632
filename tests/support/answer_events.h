#pragma once
// Events of answers, as scripted streams are made of.

#include <string>
#include <utility>
#include <vector>

#include "daemon/service/answer_event.h"

namespace mlxr::test {

inline TextDelta text(std::string words, int choice = 0, std::vector<TokenId> tokens = {}) {
  TextDelta event;
  event.choice = choice;
  event.text = std::move(words);
  event.tokens = std::move(tokens);
  return event;
}

inline ReasoningDelta reasoning(std::string words) {
  ReasoningDelta event;
  event.text = std::move(words);
  return event;
}

inline ToolCallDelta call(int index, std::string id, std::string name, std::string arguments) {
  ToolCallDelta event;
  event.index = index;
  event.id = std::move(id);
  event.name = std::move(name);
  event.arguments = std::move(arguments);
  return event;
}

inline ChoiceFinished finished(FinishReason reason = FinishReason::kEndOfText, int choice = 0, bool calls = false) {
  ChoiceFinished event;
  event.choice = choice;
  event.reason = reason;
  event.has_tool_calls = calls;
  return event;
}

inline AnswerFailed failed(Status status, AnswerFailed::Kind kind = AnswerFailed::Kind::kOther) {
  AnswerFailed event;
  event.status = std::move(status);
  event.kind = kind;
  return event;
}

}  // namespace mlxr::test
