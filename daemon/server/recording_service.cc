#include "daemon/server/recording_service.h"

#include <algorithm>

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxKept = 1024;  // of records that nobody takes

RequestRecord::Choice& choice_of(RequestRecord& record, int choice) {
  const auto index = static_cast<std::size_t>(choice);
  if (record.choices.size() <= index) record.choices.resize(index + 1);
  return record.choices[index];
}

template <class Delta>
void add_delta(RequestRecord& record, const Delta& delta) {
  RequestRecord::Choice& choice = choice_of(record, delta.choice);
  choice.text += delta.text;
  choice.tokens.insert(choice.tokens.end(), delta.tokens.begin(), delta.tokens.end());
}

// Notes an event; true for the last one.
bool note(const AnswerEvent& event, RequestRecord& record) {
  if (const auto* started = std::get_if<AnswerStarted>(&event)) {
    record.model = started->model;
  } else if (const auto* text = std::get_if<TextDelta>(&event)) {
    add_delta(record, *text);
  } else if (const auto* reasoning = std::get_if<ReasoningDelta>(&event)) {
    add_delta(record, *reasoning);
  } else if (const auto* tool = std::get_if<ToolCallDelta>(&event)) {
    choice_of(record, tool->choice).text += tool->name + tool->arguments;
  } else if (const auto* finished = std::get_if<ChoiceFinished>(&event)) {
    RequestRecord::Choice& choice = choice_of(record, finished->choice);
    choice.seed = finished->seed;
    choice.finish_reason = finish_reason_name(finished->reason);
  } else if (const auto* prefill = std::get_if<PrefillDone>(&event)) {
    record.cached_tokens = prefill->cached_tokens;
  } else if (const auto* done = std::get_if<AnswerDone>(&event)) {
    record.result = "ok";
    record.queue_ms = done->timings.queued_ms;
    record.first_token_ms = done->timings.queued_ms + done->timings.prompt_ms;
    record.total_ms = done->timings.total_ms;
    return true;
  } else if (const auto* failed = std::get_if<AnswerFailed>(&event)) {
    record.result = failed->status.code() == StatusCode::kCancelled ? "cancelled" : failed->status.message();
    return true;
  }
  return false;
}

}  // namespace

class RecordingService::Stream : public AnswerStream {
 public:
  Stream(std::shared_ptr<AnswerStream> inner, std::shared_ptr<Notes> notes, RequestRecord record)
      : inner_(std::move(inner)), notes_(std::move(notes)), record_(std::move(record)) {}

  std::optional<AnswerEvent> try_next() override { return noted(inner_->try_next()); }
  std::optional<AnswerEvent> next() override { return noted(inner_->next()); }
  bool finished() const override { return inner_->finished(); }
  void on_event(std::function<void()> notify) override { inner_->on_event(std::move(notify)); }
  void cancel() override { inner_->cancel(); }

 private:
  std::optional<AnswerEvent> noted(std::optional<AnswerEvent> event) {
    if (event && note(*event, record_)) {
      const std::lock_guard lock(notes_->mutex);
      if (notes_->done.size() < kMaxKept) notes_->done.insert_or_assign(record_.id, std::move(record_));
    }
    return event;
  }

  std::shared_ptr<AnswerStream> inner_;
  std::shared_ptr<Notes> notes_;
  RequestRecord record_;
};

void RecordingService::expect(const std::string& request_id, std::optional<std::uint64_t> seed) {
  const std::lock_guard lock(notes_->mutex);
  notes_->wanted.insert_or_assign(request_id, seed);
}

void RecordingService::note_request(const std::string& request_id, const std::string& route, const std::string& body) {
  const std::lock_guard lock(notes_->mutex);
  if (notes_->asked.size() >= kMaxKept) return;
  RequestRecord& record = notes_->asked[request_id];
  record.route = route;
  record.body = body;
}

std::optional<RequestRecord> RecordingService::take(const std::string& request_id) {
  const std::lock_guard lock(notes_->mutex);
  notes_->wanted.erase(request_id);
  notes_->asked.erase(request_id);
  const auto found = notes_->done.find(request_id);
  if (found == notes_->done.end()) return std::nullopt;
  std::optional<RequestRecord> record(std::move(found->second));
  notes_->done.erase(found);
  return record;
}

std::shared_ptr<AnswerStream> RecordingService::generate(GenerateCall call) {
  bool wanted = record_all_;
  RequestRecord record;
  {
    const std::lock_guard lock(notes_->mutex);
    if (const auto asked = notes_->asked.find(call.options.request_id); asked != notes_->asked.end()) {
      record = std::move(asked->second);
      notes_->asked.erase(asked);
    }
    if (const auto found = notes_->wanted.find(call.options.request_id); found != notes_->wanted.end()) {
      wanted = true;
      if (found->second && !call.sampling.seed) call.sampling.seed = found->second;
    }
  }
  if (!wanted) return inner_->generate(std::move(call));
  record.id = call.options.request_id;
  record.dialect = call.options.dialect;
  record.unix_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  std::shared_ptr<AnswerStream> stream = inner_->generate(std::move(call));
  return std::make_shared<Stream>(std::move(stream), notes_, std::move(record));
}

}  // namespace mlxr::server
