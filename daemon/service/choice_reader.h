#pragma once
// ChoiceReader: what an engine says of one choice, as events of an answer: text, reasoning and tool calls apart, stop
// strings looked for in the text alone, control tokens left out.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/runtime/chat_output/output_reader.h"
#include "core/runtime/engine/event.h"
#include "core/runtime/stop_matcher.h"
#include "core/runtime/tokenizer/stream_decoder.h"
#include "daemon/service/answer_event.h"

namespace mlxr {

struct ChoiceReaderOptions {
  int choice = 0;
  const Tokenizer* tokenizer = nullptr;  // must outlive the reader
  ChatFormat format;
  OutputReaderOptions output;
  // kEngine: the engine's text as it is, whose stop strings it has looked for. kSpelled: the text with control tokens
  // among the format's marks written out. kParts: reasoning and calls apart.
  enum class Mode : std::uint8_t { kEngine, kSpelled, kParts };
  Mode mode = Mode::kEngine;
  std::vector<std::string> stop;  // not of kEngine
};

class ChoiceReader {
 public:
  explicit ChoiceReader(ChoiceReaderOptions options);

  void take(DeltaEvent& event, std::vector<AnswerEvent>& out);
  void take(const FinishEvent& event, std::vector<AnswerEvent>& out);

  // A stop string came, after which nothing counts any more; ChoiceFinished was told.
  bool stopped() const { return stopped_; }
  std::int64_t num_tokens() const { return num_tokens_; }
  std::int64_t reasoning_tokens() const { return reasoning_tokens_; }
  int num_calls() const { return num_calls_; }
  std::int64_t ignored_tokens() const { return ignored_tokens_; }  // after a stop
  // Of what was written.
  const std::vector<std::string>& warnings() const;

 private:
  void take_token(TokenId token, std::vector<AnswerEvent>& out);
  void take_pieces(std::vector<AnswerEvent>& out);
  void emit_text(std::string text, std::vector<AnswerEvent>& out);
  void emit_reasoning(std::string text, std::vector<AnswerEvent>& out);
  void emit_call(OutputPiece& piece, std::vector<AnswerEvent>& out);
  void flush(std::vector<AnswerEvent>& out);
  void finish(const FinishEvent& event, std::vector<AnswerEvent>& out);
  AnswerLogprob logprob_of(const TokenLogprob& logprob) const;
  std::string token_text(TokenId token) const;

  ChoiceReaderOptions options_;
  StreamDecoder decoder_;
  std::unique_ptr<OutputReader> reader_;
  std::unique_ptr<StopMatcher> stops_;
  std::vector<OutputPiece> pieces_;
  std::vector<TokenId> tokens_;          // not told yet
  std::vector<AnswerLogprob> logprobs_;  // the same
  std::int64_t num_tokens_ = 0;
  std::int64_t reasoning_tokens_ = 0;
  std::int64_t ignored_tokens_ = 0;
  int num_calls_ = 0;
  bool stopped_ = false;
  double cumulative_logprob_ = 0.0;
};

}  // namespace mlxr
