#include "core/runtime/chat_output/call_reader.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/utf8.h"

namespace mlxr {
namespace {

using Kind = OutputPiece::Kind;

constexpr std::size_t kMaxNameBytes = 256;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

// Models put more or less white space around a mark than their templates show. One that is nothing else stays.
std::string_view core_of(const std::string& mark) {
  const std::string_view core = trimmed(mark);
  return core.empty() ? std::string_view(mark) : core;
}

std::string json_string(std::string_view text) {
  return nlohmann::json(to_valid_utf8(text)).dump();
}

}  // namespace

bool CallReader::skip_space(Cursor& cursor) {
  while (cursor.position < cursor.text.size() && is_space(cursor.text[cursor.position]))
    ++cursor.position;
  return cursor.position < cursor.text.size();
}

CallReader::Match CallReader::match(const Cursor& cursor, std::string_view mark) {
  const std::string_view rest = cursor.text.substr(cursor.position);
  if (rest.starts_with(mark)) return Match::kYes;
  return !cursor.at_end && mark.starts_with(rest) ? Match::kMore : Match::kNo;
}

CallReader::Match CallReader::take_until(Cursor& cursor, std::string_view mark, std::size_t& searched,
                                         std::string_view& out) {
  const std::string_view rest = cursor.text.substr(cursor.position);
  const std::size_t found = rest.find(mark, searched);
  if (found == std::string_view::npos) {
    searched = rest.size() < mark.size() ? 0 : rest.size() - mark.size() + 1;
    return Match::kMore;
  }
  searched = 0;
  out = rest.substr(0, found);
  cursor.position += found + mark.size();
  return Match::kYes;
}

CallReader::Outcome CallReader::read(std::string_view text, std::size_t& position, bool at_end,
                                     std::vector<OutputPiece>& pieces) {
  Cursor cursor{text, position, at_end, pieces};
  while (true) {
    const State before = state_;
    const std::size_t start = position;
    const Outcome outcome = step(cursor);
    if (outcome != Outcome::kMore) return outcome;
    if (state_ == before && position == start) return Outcome::kMore;
  }
}

CallReader::Outcome CallReader::step(Cursor& cursor) {
  switch (state_) {
    case State::kOpen:
      return open(cursor);
    case State::kName:
      return name(cursor);
    case State::kArguments:
      return arguments(cursor);
    case State::kObject:
      return object(cursor);
    case State::kItem:
    case State::kNextItem:
      return next_item(cursor);
    case State::kParameter:
      return parameter(cursor);
    case State::kParameterName:
      return parameter_name(cursor);
    case State::kParameterValue:
      return parameter_value(cursor);
    case State::kTail:
      return tail(cursor);
  }
  return Outcome::kBad;
}

// The list and the single object are told apart by what was written, whatever the format's habit.
CallReader::Outcome CallReader::open(Cursor& cursor) {
  if (!skip_space(cursor)) return Outcome::kMore;
  if (format_.style == CallStyle::kParameters) {
    const std::string_view before = core_of(format_.before);
    const Match found = match(cursor, before);
    if (found == Match::kNo) return Outcome::kBad;
    if (found == Match::kMore) return Outcome::kMore;
    cursor.position += before.size();
    state_ = State::kName;
    return Outcome::kMore;
  }
  const char c = cursor.text[cursor.position];
  if (c == '[' || c == '{') {
    in_list_ = c == '[';
    if (in_list_) ++cursor.position;
    start_object();
    state_ = in_list_ ? State::kItem : State::kObject;
    return Outcome::kMore;
  }
  if (format_.style != CallStyle::kNamed) return Outcome::kBad;
  state_ = State::kName;
  return Outcome::kMore;
}

CallReader::Outcome CallReader::name(Cursor& cursor) {
  std::string_view name;
  const std::size_t start = cursor.position;
  const Match found = take_until(cursor, core_of(format_.name_end), searched_, name);
  const std::size_t length = found == Match::kYes ? name.size() : searched_;
  if (length > kMaxNameBytes) {
    cursor.position = start;
    return Outcome::kBad;
  }
  if (found == Match::kMore) return Outcome::kMore;
  name_ = std::string(trimmed(name));
  if (name_.empty() || name_.find('\xFF') != std::string::npos) return Outcome::kBad;
  add_piece(cursor.pieces, Kind::kCall, name_);
  start_object();
  num_parameters_ = 0;
  state_ = format_.style == CallStyle::kNamed ? State::kArguments : State::kParameter;
  return Outcome::kMore;
}

CallReader::Outcome CallReader::arguments(Cursor& cursor) {
  if (scanner_.depth() == 0) {
    if (!skip_space(cursor)) return Outcome::kMore;
    if (cursor.text[cursor.position] != '{') return Outcome::kBad;
  }
  const std::size_t start = cursor.position;
  while (cursor.position < cursor.text.size()) {
    const JsonScanner::Step step = scanner_.push(cursor.text[cursor.position]);
    if (step == JsonScanner::Step::kBad) break;
    ++cursor.position;
    if (step == JsonScanner::Step::kMore) continue;
    arguments_ += cursor.text.substr(start, cursor.position - start);
    if (!nlohmann::json::accept(arguments_)) return Outcome::kBad;
    add_piece(cursor.pieces, Kind::kArguments, std::string(cursor.text.substr(start, cursor.position - start)));
    add_piece(cursor.pieces, Kind::kCallEnd, "");
    state_ = State::kTail;
    return Outcome::kCall;
  }
  arguments_ += cursor.text.substr(start, cursor.position - start);
  add_piece(cursor.pieces, Kind::kArguments, std::string(cursor.text.substr(start, cursor.position - start)));
  return cursor.position < cursor.text.size() ? Outcome::kBad : Outcome::kMore;
}

void CallReader::start_object() {
  scanner_ = {};
  key_.clear();
  in_key_ = in_value_ = announced_ = false;
  field_ = Field::kOther;
  name_json_.clear();
  arguments_.clear();
}

CallReader::Outcome CallReader::object(Cursor& cursor) {
  while (cursor.position < cursor.text.size()) {
    const char c = cursor.text[cursor.position];
    const std::size_t depth = scanner_.depth();
    const JsonScanner::Step step = scanner_.push(c);
    if (step == JsonScanner::Step::kBad) return Outcome::kBad;
    ++cursor.position;
    note_object_byte(c, depth, cursor.pieces);
    if (step == JsonScanner::Step::kMore) continue;
    if (!finish_object(cursor.pieces)) return Outcome::kBad;
    state_ = in_list_ ? State::kNextItem : State::kTail;
    return Outcome::kCall;
  }
  return Outcome::kMore;
}

// Which field of the outermost object a byte belongs to.
void CallReader::note_object_byte(char c, std::size_t depth_before, std::vector<OutputPiece>& pieces) {
  const std::size_t depth = scanner_.depth();
  const bool outermost = depth_before <= 1 && depth <= 1;
  const JsonScanner::Place place = scanner_.place();
  if (outermost && place == JsonScanner::Place::kKey) {
    if (!in_key_) key_.clear();
    in_key_ = true;
    key_ += c;
    return;
  }
  in_key_ = false;
  const bool closes = depth == 0;
  if (closes || (outermost && place == JsonScanner::Place::kBetween)) {
    in_value_ = false;
    return;
  }
  if (depth_before == 0) return;  // the object's own bracket
  if (!in_value_) {
    in_value_ = true;
    const bool arguments = key_ == "\"arguments\"" || key_ == "\"parameters\"" || key_ == "\"" + format_.key + "\"";
    field_ = announced_           ? Field::kOther
             : key_ == "\"name\"" ? Field::kName
             : arguments          ? Field::kArguments
                                  : Field::kOther;
    if (field_ == Field::kName) name_json_.clear();
    if (field_ == Field::kArguments) arguments_.clear();
  }
  if (field_ == Field::kName) name_json_ += c;
  if (field_ != Field::kArguments) return;
  // An object goes out as it comes, once it is known whose it is.
  if (arguments_.empty() && c == '{') announce(pieces);
  arguments_ += c;
  if (announced_) add_piece(pieces, Kind::kArguments, std::string(1, c));
}

bool CallReader::announce(std::vector<OutputPiece>& pieces) {
  if (announced_) return true;
  const auto name = nlohmann::json::parse(name_json_, nullptr, false);
  if (!name.is_string() || name.get_ref<const std::string&>().empty()) return false;
  name_ = name.get<std::string>();
  announced_ = true;
  add_piece(pieces, Kind::kCall, name_);
  return true;
}

bool CallReader::finish_object(std::vector<OutputPiece>& pieces) {
  if (announced_) {
    if (!nlohmann::json::accept(arguments_)) return false;  // half a pair of surrogates
    add_piece(pieces, Kind::kCallEnd, "");
    return true;
  }
  // Arguments came before the name, are missing, or stand in a string.
  std::string arguments = arguments_.empty() || arguments_ == "null" ? "{}" : arguments_;
  if (arguments.front() == '"') {
    const auto text = nlohmann::json::parse(arguments, nullptr, false);
    if (!text.is_string()) return false;
    arguments = text.get<std::string>();
  }
  if (!nlohmann::json::parse(arguments, nullptr, false).is_object()) return false;
  if (!announce(pieces)) return false;
  add_piece(pieces, Kind::kArguments, arguments);
  add_piece(pieces, Kind::kCallEnd, "");
  return true;
}

CallReader::Outcome CallReader::next_item(Cursor& cursor) {
  if (!skip_space(cursor)) return Outcome::kMore;
  const char c = cursor.text[cursor.position];
  if (c == ']') {
    ++cursor.position;
    state_ = State::kTail;
    return Outcome::kMore;
  }
  if (state_ == State::kNextItem) {
    if (c != ',') return Outcome::kBad;
    ++cursor.position;
    state_ = State::kItem;
    return Outcome::kMore;
  }
  if (c != '{') return Outcome::kBad;
  start_object();
  state_ = State::kObject;
  return Outcome::kMore;
}

CallReader::Outcome CallReader::parameter(Cursor& cursor) {
  if (!skip_space(cursor)) return Outcome::kMore;
  const std::string_view begin = core_of(format_.param_begin);
  // The end of the parameters is a mark of its own, or that of the call, which the tail takes.
  const bool own_end = !format_.after.empty();
  const std::string_view end = own_end ? core_of(format_.after) : std::string_view(format_.end);
  const Match more = match(cursor, begin);
  if (more == Match::kYes) {
    cursor.position += begin.size();
    state_ = State::kParameterName;
    return Outcome::kMore;
  }
  const Match over = match(cursor, end);
  if (over == Match::kYes) {
    if (own_end) cursor.position += end.size();
    add_piece(cursor.pieces, Kind::kArguments, num_parameters_ == 0 ? "{}" : "}");
    add_piece(cursor.pieces, Kind::kCallEnd, "");
    state_ = State::kTail;
    return Outcome::kCall;
  }
  return more == Match::kMore || over == Match::kMore ? Outcome::kMore : Outcome::kBad;
}

CallReader::Outcome CallReader::parameter_name(Cursor& cursor) {
  std::string_view name;
  const std::size_t start = cursor.position;
  const Match found = take_until(cursor, core_of(format_.param_name_end), searched_, name);
  const std::size_t length = found == Match::kYes ? name.size() : searched_;
  if (length > kMaxNameBytes) {
    cursor.position = start;
    return Outcome::kBad;
  }
  if (found == Match::kMore) return Outcome::kMore;
  parameter_ = std::string(trimmed(name));
  if (parameter_.empty() || parameter_.find('\xFF') != std::string::npos) return Outcome::kBad;
  state_ = State::kParameterValue;
  return Outcome::kMore;
}

CallReader::Outcome CallReader::parameter_value(Cursor& cursor) {
  std::string_view value;
  if (take_until(cursor, core_of(format_.param_end), searched_, value) == Match::kMore) return Outcome::kMore;
  if (value.starts_with('\n')) value.remove_prefix(1);
  if (value.ends_with('\n')) value.remove_suffix(1);
  const char* before = num_parameters_ == 0 ? "{" : ", ";
  add_piece(cursor.pieces, Kind::kArguments, before + json_string(parameter_) + ": " + parameter_json(value));
  ++num_parameters_;
  state_ = State::kParameter;
  return Outcome::kMore;
}

std::string CallReader::parameter_json(std::string_view value) const {
  const auto function = text_parameters_.find(name_);
  const bool is_text = function != text_parameters_.end() && function->second.contains(parameter_);
  const std::string_view json = trimmed(value);
  if (!is_text && nlohmann::json::accept(json)) return std::string(json);
  return json_string(value);
}

CallReader::Outcome CallReader::tail(Cursor& cursor) {
  if (format_.fills_answer()) {
    while (skip_space(cursor) && cursor.text[cursor.position] == ';')
      ++cursor.position;
    if (cursor.position == cursor.text.size()) return cursor.at_end ? Outcome::kDone : Outcome::kMore;
    if (cursor.text[cursor.position] != '{') return Outcome::kDone;
    start_object();
    state_ = State::kObject;
    return Outcome::kMore;
  }
  if (format_.end.empty()) return Outcome::kDone;
  if (!skip_space(cursor)) return cursor.at_end ? Outcome::kDone : Outcome::kMore;
  const Match found = match(cursor, format_.end);
  if (found == Match::kMore) return Outcome::kMore;
  if (found == Match::kYes) cursor.position += format_.end.size();
  return Outcome::kDone;
}

}  // namespace mlxr
