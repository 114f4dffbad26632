#include "daemon/server/answer_pump.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <type_traits>
#include <utility>

#include "core/base/check.h"

namespace mlxr::server {
namespace {

class Pump : public std::enable_shared_from_this<Pump> {
 public:
  Pump(std::shared_ptr<http::Exchange> exchange, std::vector<std::shared_ptr<AnswerStream>> streams,
       std::unique_ptr<AnswerWriter> writer, const PumpOptions& options)
      : exchange_(std::move(exchange)), streams_(std::move(streams)), writer_(std::move(writer)), options_(options) {}

  void start() {
    const std::shared_ptr<Pump> self = shared_from_this();
    const std::shared_ptr<http::Exchange> exchange = exchange_;
    exchange->on_closed([self] { self->stop(); });
    exchange->on_sent([self] { self->drain(); });
    if (options_.idle_period.count() > 0) {
      exchange->every(options_.idle_period, [self] { self->tick(); });
    }
    // A stream keeps its callback, and the pump keeps the streams: only the exchange's callbacks keep the pump.
    for (const std::shared_ptr<AnswerStream>& stream : streams_) {
      stream->on_event([weak = std::weak_ptr<Pump>(self)] {
        if (const std::shared_ptr<Pump> pump = weak.lock()) pump->wake();
      });
    }
    wake();
  }

 private:
  // Any thread.
  void wake() {
    if (posted_.exchange(true)) return;
    std::shared_ptr<http::Exchange> exchange;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      exchange = exchange_;
    }
    if (exchange != nullptr) exchange->post([self = shared_from_this()] { self->drain(); });
  }

  // The rest runs on the sequence.

  void drain() {
    // Before looking, so that an event that comes while the last one is handled wakes it again.
    posted_.store(false);
    while (exchange_ != nullptr && !writer_->over()) {
      if (exchange_->unsent_bytes() > options_.high_water_bytes) return;  // on_sent goes on
      bool any = false;
      for (std::size_t i = 0; i < streams_.size() && !writer_->over(); ++i) {
        std::optional<AnswerEvent> event = streams_[i]->try_next();
        if (!event.has_value()) continue;
        any = true;
        writer_->take(std::move(*event), i, *exchange_);
      }
      if (!any) break;
    }
    if (exchange_ != nullptr && writer_->over()) stop();
  }

  void tick() {
    if (exchange_ != nullptr && !writer_->over()) writer_->idle(*exchange_);
  }

  void stop() {
    std::shared_ptr<http::Exchange> exchange;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      exchange = std::move(exchange_);
    }
    for (const std::shared_ptr<AnswerStream>& stream : streams_) {
      if (!stream->finished()) stream->cancel();
    }
    streams_.clear();
  }

  std::mutex mutex_;
  std::shared_ptr<http::Exchange> exchange_;  // written under mutex_ on the sequence; nullptr when it is over
  std::vector<std::shared_ptr<AnswerStream>> streams_;
  std::unique_ptr<AnswerWriter> writer_;
  const PumpOptions options_;
  std::atomic<bool> posted_{false};
};

CollectedChoice& choice_at(std::vector<CollectedChoice>& choices, int index) {
  MLXR_CHECK(index >= 0, "choices are counted from 0");
  if (choices.size() <= static_cast<std::size_t>(index)) choices.resize(static_cast<std::size_t>(index) + 1);
  return choices[static_cast<std::size_t>(index)];
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void add_tool_call(CollectedChoice& choice, ToolCallDelta&& delta) {
  const auto index = static_cast<std::size_t>(std::max(delta.index, 0));
  if (choice.tool_calls.size() <= index) choice.tool_calls.resize(index + 1);
  CollectedToolCall& call = choice.tool_calls[index];
  if (!delta.id.empty()) call.id = std::move(delta.id);
  if (!delta.name.empty()) call.name = std::move(delta.name);
  call.arguments += delta.arguments;
}

}  // namespace

void pump_answers(std::shared_ptr<http::Exchange> exchange, std::vector<std::shared_ptr<AnswerStream>> streams,
                  std::unique_ptr<AnswerWriter> writer, const PumpOptions& options) {
  std::make_shared<Pump>(std::move(exchange), std::move(streams), std::move(writer), options)->start();
}

void pump_answer(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<AnswerStream> stream,
                 std::unique_ptr<AnswerWriter> writer, const PumpOptions& options) {
  std::vector<std::shared_ptr<AnswerStream>> streams;
  streams.push_back(std::move(stream));
  pump_answers(std::move(exchange), std::move(streams), std::move(writer), options);
}

void CollectedAnswer::add(AnswerEvent event) {
  std::visit(
      [this](auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, AnswerStarted>) {
          started = std::move(e);
        } else if constexpr (std::is_same_v<E, PrefillDone>) {
          prefill = std::move(e);
        } else if constexpr (std::is_same_v<E, TextDelta>) {
          CollectedChoice& choice = choice_at(choices, e.choice);
          choice.text += e.text;
          append(choice.tokens, std::move(e.tokens));
          append(choice.logprobs, std::move(e.logprobs));
        } else if constexpr (std::is_same_v<E, ReasoningDelta>) {
          CollectedChoice& choice = choice_at(choices, e.choice);
          choice.reasoning += e.text;
          append(choice.tokens, std::move(e.tokens));
        } else if constexpr (std::is_same_v<E, ToolCallDelta>) {
          add_tool_call(choice_at(choices, e.choice), std::move(e));
        } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
          const int index = e.choice;
          choice_at(choices, index).finish = std::move(e);
        } else if constexpr (std::is_same_v<E, EmbeddingReady>) {
          const auto index = static_cast<std::size_t>(std::max(e.input, 0));
          if (embeddings.size() <= index) embeddings.resize(index + 1);
          embeddings[index] = std::move(e);
        } else if constexpr (std::is_same_v<E, RerankReady>) {
          const auto index = static_cast<std::size_t>(std::max(e.document, 0));
          if (scores.size() <= index) scores.resize(index + 1);
          scores[index] = e;
        } else if constexpr (std::is_same_v<E, AnswerDone>) {
          done = std::move(e);
        }
      },
      event);
}

void WholeAnswerWriter::take(AnswerEvent event, std::size_t source, http::Exchange& exchange) {
  if (const auto* failed = std::get_if<AnswerFailed>(&event)) {
    over_ = true;
    exchange.respond(fail_(*failed));
    return;
  }
  const bool last = std::holds_alternative<AnswerDone>(event);
  answers_.at(source).add(std::move(event));
  if (!last || ++num_done_ < answers_.size()) return;
  over_ = true;
  exchange.respond(finish_(answers_));
}

}  // namespace mlxr::server
