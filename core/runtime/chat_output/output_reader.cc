#include "core/runtime/chat_output/output_reader.h"

#include <algorithm>

namespace mlxr {
namespace {

using Kind = OutputPiece::Kind;

// White space that a mark takes along at most.
constexpr std::size_t kMaxSpace = 256;
constexpr char kTokenMark = '\xFF';

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Length of a spelled control token at the front: "\xFF[123]". 0: there is none; npos: the text ends inside of one.
std::size_t spelled_token(std::string_view text) {
  constexpr std::size_t kMaxDigits = 10;
  if (text.size() < 2) return std::string_view::npos;
  if (text[1] != '[') return 0;
  for (std::size_t i = 2; i < text.size(); ++i) {
    if (text[i] == ']') return i + 1;
    if (text[i] < '0' || text[i] > '9' || i >= 2 + kMaxDigits) return 0;
  }
  return std::string_view::npos;
}

std::string without_tokens(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != kTokenMark) {
      out += text[i++];
      continue;
    }
    const std::size_t length = spelled_token(text.substr(i));
    i += length == 0 || length == std::string_view::npos ? 1 : length;
  }
  return out;
}

}  // namespace

OutputReader::OutputReader(ChatFormat format, OutputReaderOptions options)
    : format_(std::move(format)), options_(std::move(options)) {
  if (!format_.reasons()) options_.read_reasoning = false;
  if (!format_.calls_tools()) options_.read_calls = false;
  if (options_.reasoning_open && options_.read_reasoning) {
    state_ = State::kReasoning;
    drop_space_ = true;
  }
}

void OutputReader::push(std::string_view text, std::vector<OutputPiece>& out) {
  text_ += text;
  run(false, out);
}

void OutputReader::finish(std::vector<OutputPiece>& out) {
  run(true, out);
}

void OutputReader::run(bool at_end, std::vector<OutputPiece>& out) {
  while (step(at_end, out)) {
  }
  const std::size_t used = state_ == State::kCall ? std::min(call_start_, position_) : position_;
  text_.erase(0, used);
  position_ -= used;
  call_start_ -= std::min(call_start_, used);
}

bool OutputReader::step(bool at_end, std::vector<OutputPiece>& out) {
  switch (state_) {
    case State::kStart:
      return start(at_end);
    case State::kText:
      return plain_text(at_end, out);
    case State::kReasoning:
      return reasoning(at_end, out);
    case State::kCall:
      return call(at_end, out);
  }
  return false;
}

bool OutputReader::drop_leading_space() {
  if (!drop_space_) return position_ < text_.size();
  while (position_ < text_.size() && is_space(text_[position_]))
    ++position_;
  if (position_ == text_.size()) return false;
  drop_space_ = false;
  return true;
}

// The beginning of an answer, and what follows reasoning.
bool OutputReader::start(bool at_end) {
  std::size_t at = position_;
  while (at < text_.size() && is_space(text_[at]))
    ++at;
  if (at == text_.size() && !at_end) return false;
  if (at < text_.size() && options_.read_calls && format_.calls.fills_answer() && text_[at] == '{') {
    call_start_ = position_;
    begin_call(at);
    return true;
  }
  const Found found = mark_at(at, at_end);
  if (found.mark == Mark::kPartial) return false;
  if (found.mark == Mark::kForeign) {
    text_.erase(at, found.length);
    return true;
  }
  if (found.mark == Mark::kReasoning) {
    position_ = at + found.length;
    state_ = State::kReasoning;
    drop_space_ = true;
    return true;
  }
  state_ = State::kText;
  at_answer_start_ = false;
  return true;
}

OutputReader::Found OutputReader::mark_at(std::size_t at, bool at_end) const {
  const std::string_view rest = std::string_view(text_).substr(std::min(at, text_.size()));
  if (rest.empty()) return {};
  bool partial = false;
  const auto is = [&](const std::string& mark) {
    if (mark.empty()) return false;
    if (rest.starts_with(mark)) return true;
    partial = partial || (!at_end && std::string_view(mark).starts_with(rest));
    return false;
  };
  if (state_ == State::kReasoning) {
    if (is(format_.reasoning_end)) return {Mark::kReasoningEnd, at, format_.reasoning_end.size()};
  } else {
    const bool spelled = format_.reasoning_begin.starts_with(kTokenMark);
    if (options_.read_reasoning && (at_answer_start_ || spelled) && is(format_.reasoning_begin)) {
      return {Mark::kReasoning, at, format_.reasoning_begin.size()};
    }
    if (options_.read_calls) {
      if (is(format_.calls.begin)) return {Mark::kCall, at, format_.calls.begin.size()};
      if (is(format_.calls.group_begin)) return {Mark::kGroup, at, format_.calls.group_begin.size()};
      if (is(format_.calls.group_end)) return {Mark::kGroup, at, format_.calls.group_end.size()};
    }
  }
  if (rest.front() == kTokenMark) {
    const std::size_t length = spelled_token(rest);
    if (length == std::string_view::npos && !at_end) return {Mark::kPartial, at, 0};
    return {Mark::kForeign, at, length == std::string_view::npos ? 1 : std::max<std::size_t>(length, 1)};
  }
  return {partial ? Mark::kPartial : Mark::kNone, at, 0};
}

OutputReader::Found OutputReader::find_mark(bool at_end) const {
  for (std::size_t at = position_; at < text_.size(); ++at) {
    const Found found = mark_at(at, at_end);
    if (found.mark != Mark::kNone) return found;
  }
  return {Mark::kNone, text_.size(), 0};
}

void OutputReader::emit(Kind kind, std::size_t end, bool before_mark, bool hold_space, std::vector<OutputPiece>& out) {
  std::size_t until = end;
  if (before_mark || hold_space) {
    while (until > position_ && is_space(text_[until - 1]) && end - until < kMaxSpace)
      --until;
  }
  add_piece(out, kind, text_.substr(position_, until - position_));
  position_ = before_mark ? end : until;
}

bool OutputReader::plain_text(bool at_end, std::vector<OutputPiece>& out) {
  if (!drop_leading_space()) return false;
  const Found found = find_mark(at_end);
  const bool takes_space = found.mark == Mark::kCall || found.mark == Mark::kGroup || found.mark == Mark::kReasoning;
  const bool holds = !at_end && (options_.read_calls || format_.reasoning_begin.starts_with(kTokenMark));
  emit(Kind::kText, found.at, takes_space, holds && !takes_space, out);
  switch (found.mark) {
    case Mark::kForeign:
      text_.erase(found.at, found.length);
      return true;
    case Mark::kReasoning:
      position_ = found.at + found.length;
      state_ = State::kReasoning;
      drop_space_ = true;
      return true;
    case Mark::kGroup:
      position_ = found.at + found.length;
      drop_space_ = true;
      return true;
    case Mark::kCall:
      begin_call(found.at + found.length);
      call_start_ = found.at;
      return true;
    default:
      return false;
  }
}

bool OutputReader::reasoning(bool at_end, std::vector<OutputPiece>& out) {
  if (!drop_leading_space()) return false;
  const Found found = find_mark(at_end);
  const bool over = found.mark == Mark::kReasoningEnd;
  emit(Kind::kReasoning, found.at, over, !at_end && !over, out);
  if (found.mark == Mark::kForeign) {
    text_.erase(found.at, found.length);
    return true;
  }
  if (!over) return false;
  position_ = found.at + found.length;
  drop_space_ = true;
  at_answer_start_ = false;
  // What fills an answer may come now.
  state_ = options_.read_calls && format_.calls.fills_answer() ? State::kStart : State::kText;
  return true;
}

void OutputReader::begin_call(std::size_t position) {
  position_ = position;
  state_ = State::kCall;
  at_answer_start_ = false;
  reader_.emplace(format_.calls, options_.text_parameters);
  staged_.clear();
  announced_ = false;
}

// Hands out what may be shown of the staged pieces.
void OutputReader::release_calls(std::vector<OutputPiece>& out) {
  std::size_t ready = staged_.size();
  if (!options_.stream_calls) {
    const auto last = std::find_if(staged_.rbegin(), staged_.rend(),
                                   [](const OutputPiece& piece) { return piece.kind == Kind::kCallEnd; });
    ready = static_cast<std::size_t>(staged_.rend() - last);
  }
  for (std::size_t i = 0; i < ready; ++i) {
    OutputPiece& piece = staged_[i];
    announced_ = piece.kind != Kind::kCallEnd;
    add_piece(out, piece.kind, std::move(piece.text));
  }
  staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(ready));
}

bool OutputReader::call(bool at_end, std::vector<OutputPiece>& out) {
  const CallReader::Outcome outcome = reader_->read(text_, position_, at_end, staged_);
  release_calls(out);
  switch (outcome) {
    case CallReader::Outcome::kCall:
      call_start_ = position_;
      return true;
    case CallReader::Outcome::kDone:
      state_ = State::kText;
      drop_space_ = true;
      return true;
    case CallReader::Outcome::kBad:
      give_up_call("is not written as one", out);
      return true;
    case CallReader::Outcome::kMore:
      if (!at_end) return false;
      if (call_start_ < position_ || announced_) give_up_call("is not complete", out);
      state_ = State::kText;
      return true;
  }
  return false;
}

// What was taken for a call stays text, unless a part of it went out as a call.
void OutputReader::give_up_call(const char* why, std::vector<OutputPiece>& out) {
  warnings_.push_back(std::string(announced_ ? "a tool call " : "what looks like a tool call ") + why +
                      (announced_ ? "" : " and is part of the text"));
  if (!announced_) {
    add_piece(out, Kind::kText, without_tokens(std::string_view(text_).substr(call_start_, position_ - call_start_)));
  }
  staged_.clear();
  announced_ = false;
  state_ = State::kText;
  drop_space_ = false;
}

}  // namespace mlxr
