#pragma once
// From the events of answers to an exchange: in order, on the exchange's sequence, no faster than the peer reads, and
// cancelled when the peer goes away. Also the fold of events that answers without a stream are made of.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/http/exchange.h"
#include "daemon/service/answer_stream.h"

namespace mlxr::server {

// What a dialect makes of events. All calls come on the exchange's sequence.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // `source` is the index of the stream that the event is from. The writer answers the exchange in full by the last
  // event of the last stream, or earlier (after an AnswerFailed): what then is still running is cancelled.
  virtual void take(AnswerEvent event, std::size_t source, http::Exchange& exchange) = 0;
  // The exchange was answered: nothing more is wanted.
  virtual bool over() const = 0;
  // Each idle_period, while it is not over.
  virtual void idle(http::Exchange& /*exchange*/) {}
};

struct PumpOptions {
  std::size_t high_water_bytes = std::size_t{256} << 10;  // unsent, beyond which events wait
  std::chrono::milliseconds idle_period{0};               // 0: idle() is not called
};

// Returns at once. Holds the exchange and the streams until the writer is over or the peer is gone.
void pump_answers(std::shared_ptr<http::Exchange> exchange, std::vector<std::shared_ptr<AnswerStream>> streams,
                  std::unique_ptr<AnswerWriter> writer, const PumpOptions& options = {});
void pump_answer(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<AnswerStream> stream,
                 std::unique_ptr<AnswerWriter> writer, const PumpOptions& options = {});

// --- whole answers ---------------------------------------------------------------------------------------------------

struct CollectedToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text of an object
};

struct CollectedChoice {
  std::string text;
  std::string reasoning;
  std::vector<TokenId> tokens;          // of both
  std::vector<AnswerLogprob> logprobs;  // of the text
  std::vector<CollectedToolCall> tool_calls;
  ChoiceFinished finish;
};

// The fold over the events of one stream.
struct CollectedAnswer {
  AnswerStarted started;
  PrefillDone prefill;
  std::vector<CollectedChoice> choices;
  std::vector<EmbeddingReady> embeddings;  // by input
  std::vector<RerankReady> scores;         // by document
  AnswerDone done;

  void add(AnswerEvent event);
};

// Collects every stream, then answers once; a failure of any answers at once.
class WholeAnswerWriter : public AnswerWriter {
 public:
  using Finish = std::function<http::Response(std::vector<CollectedAnswer>& answers)>;
  using Fail = std::function<http::Response(const AnswerFailed& failed)>;

  WholeAnswerWriter(std::size_t num_sources, Finish finish, Fail fail)
      : answers_(num_sources), finish_(std::move(finish)), fail_(std::move(fail)) {}

  void take(AnswerEvent event, std::size_t source, http::Exchange& exchange) override;
  bool over() const override { return over_; }

 private:
  std::vector<CollectedAnswer> answers_;
  std::size_t num_done_ = 0;
  Finish finish_;
  Fail fail_;
  bool over_ = false;
};

}  // namespace mlxr::server
