#pragma once
// CallReader: one tool call, or several in a list, behind the mark that begins it. Reads a text that grows, and never
// decides anything by where the text was cut.

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/runtime/chat_output/chat_format.h"
#include "core/runtime/chat_output/json_scanner.h"
#include "core/runtime/chat_output/output_piece.h"

namespace mlxr {

// Of each function, the parameters whose values are texts and not JSON. For formats that do not quote them.
using TextParameters = std::map<std::string, std::set<std::string>, std::less<>>;

class CallReader {
 public:
  // Both must outlive the reader.
  CallReader(const CallFormat& format, const TextParameters& text_parameters)
      : format_(format), text_parameters_(text_parameters) {}

  enum class Outcome : std::uint8_t {
    kMore,  // the text is used up, or what is left can only be judged with more of it
    kCall,  // a call is complete; read on
    kDone,  // the calls are over; `position` is behind them
    kBad,   // this is no call; `position` is where that shows
  };
  // Reads from `position` on and moves it. At the end of a text `at_end` says that no more will come.
  Outcome read(std::string_view text, std::size_t& position, bool at_end, std::vector<OutputPiece>& pieces);

 private:
  enum class State : std::uint8_t {
    kOpen,
    kName,
    kArguments,
    kObject,
    kItem,
    kNextItem,
    kParameter,
    kParameterName,
    kParameterValue,
    kTail,
  };
  enum class Match : std::uint8_t { kYes, kNo, kMore };

  struct Cursor {
    std::string_view text;
    std::size_t& position;
    bool at_end;
    std::vector<OutputPiece>& pieces;
  };

  Outcome step(Cursor& cursor);
  Outcome open(Cursor& cursor);
  Outcome name(Cursor& cursor);
  Outcome arguments(Cursor& cursor);
  Outcome object(Cursor& cursor);
  Outcome next_item(Cursor& cursor);
  Outcome parameter(Cursor& cursor);
  Outcome parameter_name(Cursor& cursor);
  Outcome parameter_value(Cursor& cursor);
  Outcome tail(Cursor& cursor);

  void start_object();
  void note_object_byte(char c, std::size_t depth_before, std::vector<OutputPiece>& pieces);
  bool announce(std::vector<OutputPiece>& pieces);
  bool finish_object(std::vector<OutputPiece>& pieces);
  std::string parameter_json(std::string_view value) const;

  static bool skip_space(Cursor& cursor);
  static Match match(const Cursor& cursor, std::string_view mark);
  // The text up to a mark, and past it.
  static Match take_until(Cursor& cursor, std::string_view mark, std::size_t& searched, std::string_view& out);

  const CallFormat& format_;
  const TextParameters& text_parameters_;
  State state_ = State::kOpen;
  bool in_list_ = false;
  std::size_t searched_ = 0;  // how far a mark was looked for, from the position on

  // kObject
  enum class Field : std::uint8_t { kOther, kName, kArguments };
  JsonScanner scanner_;
  std::string key_;
  bool in_key_ = false;
  bool in_value_ = false;
  Field field_ = Field::kOther;
  std::string name_json_;
  std::string arguments_;
  bool announced_ = false;

  // kName on
  std::string name_;
  std::string parameter_;
  std::size_t num_parameters_ = 0;
};

}  // namespace mlxr
