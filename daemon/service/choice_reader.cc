#include "daemon/service/choice_reader.h"

#include <algorithm>
#include <atomic>
#include <random>

#include "core/runtime/grammar/rules.h"

namespace mlxr {
namespace {

using Mode = ChoiceReaderOptions::Mode;

// Unlikely to come twice; nothing depends on it.
std::string new_call_id() {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static const std::uint64_t start = std::random_device{}() * std::uint64_t{0x9E3779B97F4A7C15};
  static std::atomic<std::uint64_t> count{0};
  std::mt19937_64 random(start + count.fetch_add(1));
  std::string id = "call_";
  for (int i = 0; i < 24; ++i)
    id += kLetters[random() % kLetters.size()];
  return id;
}

template <class Delta>
Delta* last_of(std::vector<AnswerEvent>& out) {
  return out.empty() ? nullptr : std::get_if<Delta>(&out.back());
}

}  // namespace

ChoiceReader::ChoiceReader(ChoiceReaderOptions options)
    : options_(std::move(options)), decoder_(*options_.tokenizer, {.at_start = false}) {
  if (options_.mode == Mode::kParts) reader_ = std::make_unique<OutputReader>(options_.format, options_.output);
  if (options_.mode != Mode::kEngine) stops_ = std::make_unique<StopMatcher>(options_.stop);
}

const std::vector<std::string>& ChoiceReader::warnings() const {
  static const std::vector<std::string> none;
  return reader_ ? reader_->warnings() : none;
}

std::string ChoiceReader::token_text(TokenId token) const {
  return options_.tokenizer->is_special(token) ? std::string(options_.tokenizer->piece(token))
                                               : options_.tokenizer->token_bytes(token);
}

AnswerLogprob ChoiceReader::logprob_of(const TokenLogprob& logprob) const {
  return {.text = token_text(logprob.token),
          .token = logprob.token,
          .logprob = static_cast<float>(logprob.logprob),
          .top = {}};
}

void ChoiceReader::take(DeltaEvent& event, std::vector<AnswerEvent>& out) {
  for (std::size_t i = 0; i < event.tokens.size(); ++i) {
    if (stopped_) {
      ++ignored_tokens_;
      continue;
    }
    ++num_tokens_;
    tokens_.push_back(event.tokens[i]);
    if (i < event.logprobs.size()) {
      AnswerLogprob logprob = logprob_of(event.logprobs[i].chosen);
      for (const TokenLogprob& top : event.logprobs[i].top)
        logprob.top.push_back(logprob_of(top));
      cumulative_logprob_ += event.logprobs[i].chosen.logprob;
      logprobs_.push_back(std::move(logprob));
    }
    if (options_.mode != Mode::kEngine) take_token(event.tokens[i], out);
  }
  if (options_.mode == Mode::kEngine && !event.text.empty()) emit_text(std::move(event.text), out);
}

void ChoiceReader::take_token(TokenId token, std::vector<AnswerEvent>& out) {
  const auto& marks = options_.format.mark_tokens;
  const bool is_mark = std::find(marks.begin(), marks.end(), token) != marks.end();
  if (options_.mode == Mode::kSpelled) {
    emit_text(is_mark ? decoder_.flush() + token_text(token) : decoder_.push(token), out);
    return;
  }
  const bool reasoned = reader_->in_reasoning();
  if (reasoned) ++reasoning_tokens_;
  reader_->push(is_mark ? decoder_.flush() + grammar::token_spelling(token) : decoder_.push(token), pieces_);
  take_pieces(out);
  if (reader_->in_reasoning() != reasoned) {
    // What spelled the mark is a part of neither.
    tokens_.clear();
    logprobs_.clear();
  }
}

void ChoiceReader::take_pieces(std::vector<AnswerEvent>& out) {
  for (OutputPiece& piece : pieces_) {
    if (stopped_) break;
    switch (piece.kind) {
      case OutputPiece::Kind::kText:
        emit_text(std::move(piece.text), out);
        break;
      case OutputPiece::Kind::kReasoning:
        emit_reasoning(std::move(piece.text), out);
        break;
      default:
        emit_call(piece, out);
    }
  }
  pieces_.clear();
}

void ChoiceReader::emit_text(std::string text, std::vector<AnswerEvent>& out) {
  if (stops_) text = stops_->push(text);
  const bool stops = stops_ && stops_->stopped();
  if (!text.empty()) {
    auto* last = last_of<TextDelta>(out);
    if (last == nullptr || last->choice != options_.choice) {
      out.emplace_back(TextDelta{.choice = options_.choice, .text = {}, .tokens = {}, .logprobs = {}});
      last = &std::get<TextDelta>(out.back());
    }
    last->text += text;
    last->tokens.insert(last->tokens.end(), tokens_.begin(), tokens_.end());
    last->logprobs.insert(last->logprobs.end(), logprobs_.begin(), logprobs_.end());
    tokens_.clear();
    logprobs_.clear();
  }
  if (!stops) return;
  finish({.choice = options_.choice,
          .reason = FinishReason::kStopString,
          .stop_string = *stops_->stopped_by(),
          .num_tokens = num_tokens_,
          .cumulative_logprob = cumulative_logprob_,
          .speculation = {}},
         out);
  stopped_ = true;
}

void ChoiceReader::emit_reasoning(std::string text, std::vector<AnswerEvent>& out) {
  if (text.empty()) return;
  auto* last = last_of<ReasoningDelta>(out);
  if (last == nullptr || last->choice != options_.choice) {
    out.emplace_back(ReasoningDelta{.choice = options_.choice, .text = {}, .tokens = {}, .logprobs = {}});
    last = &std::get<ReasoningDelta>(out.back());
  }
  last->text += text;
  last->tokens.insert(last->tokens.end(), tokens_.begin(), tokens_.end());
  last->logprobs.insert(last->logprobs.end(), logprobs_.begin(), logprobs_.end());
  tokens_.clear();
  logprobs_.clear();
}

void ChoiceReader::emit_call(OutputPiece& piece, std::vector<AnswerEvent>& out) {
  tokens_.clear();
  logprobs_.clear();
  if (piece.kind == OutputPiece::Kind::kCallEnd) return;
  if (piece.kind == OutputPiece::Kind::kCall) {
    // What was held back as the beginning of a stop string stands before the call.
    const std::string held = stops_->flush();
    stops_ = std::make_unique<StopMatcher>(std::vector<std::string>{});
    emit_text(held, out);
    stops_ = std::make_unique<StopMatcher>(options_.stop);
    out.emplace_back(ToolCallDelta{.choice = options_.choice,
                                   .index = num_calls_++,
                                   .id = new_call_id(),
                                   .name = std::move(piece.text),
                                   .arguments = {}});
    return;
  }
  auto* last = last_of<ToolCallDelta>(out);
  if (last != nullptr && last->choice == options_.choice && last->index == num_calls_ - 1) {
    last->arguments += piece.text;
    return;
  }
  out.emplace_back(ToolCallDelta{
      .choice = options_.choice, .index = num_calls_ - 1, .id = {}, .name = {}, .arguments = std::move(piece.text)});
}

void ChoiceReader::flush(std::vector<AnswerEvent>& out) {
  if (options_.mode == Mode::kEngine) return;
  if (options_.mode == Mode::kSpelled) {
    emit_text(decoder_.flush(), out);
  } else {
    const std::string held = decoder_.flush();
    if (!held.empty()) reader_->push(held, pieces_);
    reader_->finish(pieces_);
    take_pieces(out);
  }
  if (stopped_) return;
  const std::string held = stops_->flush();
  stops_ = std::make_unique<StopMatcher>(std::vector<std::string>{});
  emit_text(held, out);
}

void ChoiceReader::take(const FinishEvent& event, std::vector<AnswerEvent>& out) {
  if (stopped_) return;
  flush(out);
  if (stopped_) return;
  finish(event, out);
}

void ChoiceReader::finish(const FinishEvent& event, std::vector<AnswerEvent>& out) {
  const bool has_text = options_.mode != Mode::kParts || num_calls_ == 0;
  if (has_text && !tokens_.empty() && !(reader_ && reader_->in_reasoning())) {
    // Tokens without a text of their own: a stop string, half a character.
    out.emplace_back(TextDelta{
        .choice = options_.choice, .text = {}, .tokens = std::move(tokens_), .logprobs = std::move(logprobs_)});
  }
  tokens_.clear();
  logprobs_.clear();
  out.emplace_back(ChoiceFinished{.choice = options_.choice,
                                  .reason = event.reason,
                                  .has_tool_calls = num_calls_ > 0,
                                  .stop_string = event.stop_string,
                                  .stop_token = event.stop_token,
                                  .num_tokens = num_tokens_,
                                  .reasoning_tokens = reasoning_tokens_,
                                  .cumulative_logprob = event.cumulative_logprob,
                                  .seed = event.seed,
                                  .speculation = event.speculation});
}

}  // namespace mlxr
