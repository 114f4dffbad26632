#pragma once
// OutputReader: takes apart what a model writes, while it is written: plain text, reasoning, tool calls. Made for
// partial and broken output: nothing is an error, and what is no tool call stays text. How the text is cut into pieces
// changes nothing but the cuts of what comes out.
//
// White space around marks goes. Belongs to one choice; not thread-safe.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/chat_output/call_reader.h"
#include "core/runtime/chat_output/chat_format.h"
#include "core/runtime/chat_output/output_piece.h"

namespace mlxr {

struct OutputReaderOptions {
  bool reasoning_open = false;  // the prompt ends inside of reasoning
  bool read_reasoning = true;   // false: it stays in the text
  bool read_calls = true;       // false: they stay in the text
  // A grammar makes sure that calls are well-formed, so that their arguments come as they are written. Otherwise a call
  // comes when it is complete and its arguments are JSON.
  bool stream_calls = false;
  TextParameters text_parameters = {};
};

class OutputReader {
 public:
  OutputReader(ChatFormat format, OutputReaderOptions options);
  OutputReader(const OutputReader&) = delete;  // its parts refer to each other
  OutputReader& operator=(const OutputReader&) = delete;

  // More of the answer. Control tokens among the format's marks come as grammar::token_spelling() of them; others do
  // not come.
  void push(std::string_view text, std::vector<OutputPiece>& out);
  // The answer is over.
  void finish(std::vector<OutputPiece>& out);

  bool in_reasoning() const { return state_ == State::kReasoning; }
  // What of the answer looked like a call and was none.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  enum class State : std::uint8_t { kStart, kText, kReasoning, kCall };
  enum class Mark : std::uint8_t { kNone, kPartial, kForeign, kReasoning, kReasoningEnd, kCall, kGroup };
  struct Found {
    Mark mark = Mark::kNone;
    std::size_t at = 0;      // where it begins, or the end of the text
    std::size_t length = 0;  // of it
  };

  void run(bool at_end, std::vector<OutputPiece>& out);
  // False: more text is needed.
  bool step(bool at_end, std::vector<OutputPiece>& out);
  bool start(bool at_end);
  bool plain_text(bool at_end, std::vector<OutputPiece>& out);
  bool reasoning(bool at_end, std::vector<OutputPiece>& out);
  bool call(bool at_end, std::vector<OutputPiece>& out);
  void begin_call(std::size_t position);
  void release_calls(std::vector<OutputPiece>& out);
  void give_up_call(const char* why, std::vector<OutputPiece>& out);
  Found find_mark(bool at_end) const;
  Found mark_at(std::size_t at, bool at_end) const;
  // Emits up to `end` but for white space that a mark behind it would take along.
  void emit(OutputPiece::Kind kind, std::size_t end, bool before_mark, bool hold_space, std::vector<OutputPiece>& out);
  bool drop_leading_space();

  ChatFormat format_;
  OutputReaderOptions options_;
  State state_ = State::kStart;
  bool at_answer_start_ = true;  // no text so far: a reasoning mark in plain letters counts
  bool drop_space_ = false;
  std::string text_;
  std::size_t position_ = 0;
  std::optional<CallReader> reader_;
  std::size_t call_start_ = 0;       // of what was not handed out yet
  std::vector<OutputPiece> staged_;  // of the call that is being read
  bool announced_ = false;           // its name went out
  std::vector<std::string> warnings_;
};

}  // namespace mlxr
