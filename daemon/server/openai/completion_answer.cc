#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/base/utf8.h"
#include "daemon/server/answer_json.h"
#include "daemon/server/openai/completion_request.h"
#include "daemon/server/openai/openai_errors.h"
#include "daemon/server/openai/openai_handlers.h"
#include "daemon/service/model_service.h"

namespace mlxr::server {
namespace {

// The object of log probabilities that came before chat's: parallel arrays, offsets counted in characters.
class LegacyLogprobs {
 public:
  explicit LegacyLogprobs(std::size_t offset = 0) : offset_(offset) {}

  void add(const std::string& text, std::optional<double> logprob, Json top) {
    tokens_.push_back(to_valid_utf8(text));
    logprobs_.push_back(logprob.has_value() ? Json(finite_logprob(*logprob)) : Json(nullptr));
    tops_.push_back(std::move(top));
    offsets_.push_back(offset_);
    offset_ += num_characters(text);
  }

  void add(const AnswerLogprob& entry) {
    Json top = Json::object();
    for (const AnswerLogprob& other : entry.top)
      top[to_valid_utf8(other.text)] = finite_logprob(other.logprob);
    add(entry.text, entry.logprob, entry.top.empty() ? Json(nullptr) : std::move(top));
  }

  bool empty() const { return tokens_.empty(); }
  std::size_t offset() const { return offset_; }

  Json take() {
    return {{"text_offset", std::move(offsets_)},
            {"token_logprobs", std::move(logprobs_)},
            {"tokens", std::move(tokens_)},
            {"top_logprobs", std::move(tops_)}};
  }

  // First bytes, so that a character that is spread over tokens counts once.
  static std::size_t num_characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  }

 private:
  std::size_t offset_;
  Json tokens_ = Json::array();
  Json logprobs_ = Json::array();
  Json tops_ = Json::array();
  Json offsets_ = Json::array();
};

// The prompt's tokens; the first has no probability, as nothing stands before it.
void add_prompt(LegacyLogprobs& out, const OpenAiHead& head, const AnswerStarted& started,
                const std::vector<Logprobs>& logprobs) {
  const std::vector<std::string> texts = head.pieces(started.prompt_ids);
  for (std::size_t i = 0; i < started.prompt_ids.size(); ++i) {
    const std::string text = i < texts.size() ? texts[i] : std::string();
    if (i == 0 || i > logprobs.size()) {
      out.add(text, std::nullopt, nullptr);
      continue;
    }
    const Logprobs& entry = logprobs[i - 1];
    Json top = Json::object();
    std::vector<TokenId> ids;
    for (const TokenLogprob& other : entry.top)
      ids.push_back(other.token);
    const std::vector<std::string> names = ids.empty() ? std::vector<std::string>() : head.pieces(ids);
    for (std::size_t k = 0; k < names.size() && k < entry.top.size(); ++k) {
      top[to_valid_utf8(names[k])] = finite_logprob(entry.top[k].logprob);
    }
    out.add(text, entry.chosen.logprob, entry.top.empty() ? Json(nullptr) : std::move(top));
  }
}

struct CompletionShape {
  bool echo = false;
  bool logprobs = false;
  int choices_per_prompt = 1;
};

Json choice_json(const OpenAiHead& head, const CompletionShape& shape, std::size_t index, const CollectedAnswer& answer,
                 const CollectedChoice& choice) {
  Json entry = {{"index", index}, {"text", (shape.echo ? answer.started.prompt_text : std::string()) + choice.text}};
  if (shape.logprobs) {
    LegacyLogprobs logprobs;
    if (shape.echo) add_prompt(logprobs, head, answer.started, answer.prefill.logprobs);
    for (const AnswerLogprob& each : choice.logprobs)
      logprobs.add(each);
    entry["logprobs"] = logprobs.take();
  } else {
    entry["logprobs"] = nullptr;
  }
  entry["finish_reason"] = openai_finish_reason(choice.finish);
  if (Json reason = openai_stop_reason(choice.finish); !reason.is_null()) entry["stop_reason"] = std::move(reason);
  if (head.options.return_token_ids) {
    entry["prompt_token_ids"] = answer.started.prompt_ids;
    entry["token_ids"] = choice.tokens;
  }
  if (head.options.prompt_logprobs) entry["prompt_logprobs"] = prompt_logprobs_json(head, answer);
  return entry;
}

AnswerDone sum_of(const std::vector<AnswerDone>& dones) {
  AnswerDone total;
  for (const AnswerDone& done : dones) {
    total.prompt_tokens += done.prompt_tokens;
    total.cached_tokens += done.cached_tokens;
    total.generated_tokens += done.generated_tokens;
    total.reasoning_tokens += done.reasoning_tokens;
    // They ran side by side: the longest is what the caller waited for.
    AnswerTimings& times = total.timings;
    times.load_ms = std::max(times.load_ms, done.timings.load_ms);
    times.queued_ms = std::max(times.queued_ms, done.timings.queued_ms);
    times.prompt_ms = std::max(times.prompt_ms, done.timings.prompt_ms);
    times.generation_ms = std::max(times.generation_ms, done.timings.generation_ms);
    times.total_ms = std::max(times.total_ms, done.timings.total_ms);
    merge_warnings(total.warnings, done.warnings);
  }
  return total;
}

http::Response completion_response(const OpenAiHead& head, const CompletionShape& shape,
                                   const std::vector<CollectedAnswer>& answers) {
  std::vector<std::string> warnings = head.warnings;
  Json choices = Json::array();
  std::vector<AnswerDone> dones;
  SpecReport speculation;
  for (const CollectedAnswer& answer : answers) {
    merge_warnings(warnings, answer.started.warnings);
    for (const CollectedChoice& choice : answer.choices) {
      warn_of_finish(choice.finish, warnings);
      speculation.proposed += choice.finish.speculation.proposed;
      speculation.accepted += choice.finish.speculation.accepted;
      choices.push_back(choice_json(head, shape, choices.size(), answer, choice));
    }
    dones.push_back(answer.done);
  }
  const AnswerDone total = sum_of(dones);
  merge_warnings(warnings, total.warnings);
  Json body = {{"id", head.id},
               {"object", "text_completion"},
               {"created", head.created},
               {"model", head.model},
               {"system_fingerprint", kSystemFingerprint},
               {"choices", std::move(choices)},
               {"usage", usage_json(total)},
               {"timings", timings_json(total, speculation)}};
  if (!warnings.empty()) body["warnings"] = warnings;
  http::Response response = http::json_response(200, json_text(body));
  add_warnings(response.fields, warnings);
  return response;
}

class CompletionStreamWriter : public OpenAiStreamWriter {
 public:
  CompletionStreamWriter(OpenAiHead head, const CompletionShape& shape, std::size_t num_prompts)
      : OpenAiStreamWriter(std::move(head), "text_completion"),
        shape_(shape),
        prompts_(num_prompts),
        num_left_(num_prompts * static_cast<std::size_t>(shape.choices_per_prompt)) {}

  void take(AnswerEvent event, std::size_t source, http::Exchange& exchange) override {
    PromptState& prompt = prompts_.at(source);
    std::visit(
        [this, source, &prompt, &exchange](auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, LoadProgress> || std::is_same_v<E, PrefillProgress>) {
            if (head_.options.progress) progress(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerStarted>) {
            const std::int64_t before = prompt_tokens_;
            started(e);
            prompt_tokens_ += before;
            prompt.started = std::move(e);
          } else if constexpr (std::is_same_v<E, PrefillDone>) {
            prompt.prefill = std::move(e);
          } else if constexpr (std::is_same_v<E, TextDelta> || std::is_same_v<E, ReasoningDelta>) {
            add_text(exchange, source, e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            end_choice(exchange, source, e);
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end_prompt(exchange, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, e);
          }
        },
        event);
  }

 private:
  struct PromptState {
    AnswerStarted started;
    PrefillDone prefill;
    std::map<int, std::size_t> offsets;  // of choices that have begun: characters so far
  };

  std::size_t index_of(std::size_t source, int choice) const {
    return source * static_cast<std::size_t>(shape_.choices_per_prompt) + static_cast<std::size_t>(choice);
  }

  void send(http::Exchange& exchange, std::size_t index, const std::string& text, Json logprobs, const Json& reason,
            Json more, std::string_view members) {
    Json entry = {{"index", index}, {"text", text}, {"logprobs", std::move(logprobs)}, {"finish_reason", reason}};
    for (auto& [key, value] : more.get_ref<Json::object_t&>())
      entry[key] = std::move(value);
    chunk(exchange, "[" + json_text(entry) + "]", members);
  }

  // An echoed prompt comes once, before anything else of its choice.
  void begin_choice(http::Exchange& exchange, std::size_t source, int choice) {
    PromptState& prompt = prompts_[source];
    const auto [place, first] = prompt.offsets.try_emplace(choice, 0);
    if (!first || !shape_.echo) return;
    place->second = LegacyLogprobs::num_characters(prompt.started.prompt_text);
    Json logprobs = nullptr;
    if (shape_.logprobs) {
      LegacyLogprobs of_prompt;
      add_prompt(of_prompt, head_, prompt.started, prompt.prefill.logprobs);
      logprobs = of_prompt.take();
    }
    send(exchange, index_of(source, choice), prompt.started.prompt_text, std::move(logprobs), nullptr, Json::object(),
         usage_member());
  }

  template <class Delta>
  void add_text(http::Exchange& exchange, std::size_t source, const Delta& event) {
    generated_tokens_ += static_cast<std::int64_t>(event.tokens.size());
    const bool ids = head_.options.return_token_ids;
    if (event.text.empty() && event.logprobs.empty() && !ids) return;
    begin_choice(exchange, source, event.choice);
    Json logprobs = nullptr;
    if (shape_.logprobs) {
      std::size_t& offset = prompts_[source].offsets[event.choice];
      LegacyLogprobs of_text(offset);
      for (const AnswerLogprob& entry : event.logprobs)
        of_text.add(entry);
      offset = of_text.offset();
      logprobs = of_text.take();
    }
    Json more = Json::object();
    if (ids) more["token_ids"] = event.tokens;
    send(exchange, index_of(source, event.choice), event.text, std::move(logprobs), nullptr, std::move(more),
         usage_member());
  }

  void end_choice(http::Exchange& exchange, std::size_t source, const ChoiceFinished& event) {
    begin_choice(exchange, source, event.choice);
    warn_of_finish(event, head_.warnings);
    speculation_.proposed += event.speculation.proposed;
    speculation_.accepted += event.speculation.accepted;
    if (--num_left_ == 0) {
      held_ = std::pair(index_of(source, event.choice), event);
    } else {
      send_end(exchange, index_of(source, event.choice), event, usage_member());
    }
  }

  void send_end(http::Exchange& exchange, std::size_t index, const ChoiceFinished& event, std::string_view members) {
    Json more = Json::object();
    if (Json reason = openai_stop_reason(event); !reason.is_null()) more["stop_reason"] = std::move(reason);
    send(exchange, index, "", nullptr, openai_finish_reason(event), std::move(more), members);
  }

  void end_prompt(http::Exchange& exchange, const AnswerDone& done) {
    merge_warnings(head_.warnings, done.warnings);
    dones_.push_back(done);
    if (dones_.size() < prompts_.size()) return;
    const AnswerDone total = sum_of(dones_);
    generated_tokens_ = total.generated_tokens;
    const Json timings = timings_json(total, speculation_);
    if (held_.has_value()) {
      send_end(exchange, held_->first, held_->second, last_members(timings));
    }
    finish(exchange, usage_json(total), timings);
  }

  const CompletionShape shape_;
  std::vector<PromptState> prompts_;
  std::size_t num_left_;
  std::vector<AnswerDone> dones_;
  std::optional<std::pair<std::size_t, ChoiceFinished>> held_;
  SpecReport speculation_;
};

}  // namespace

void answer_completions(const OpenAiServices& services, const SharedExchange& exchange) {
  std::optional<Json> body = read_body(exchange);
  if (!body.has_value()) return;
  RequestNotes notes;
  CompletionRequest request = read_completion_request(*body, notes);
  body.reset();
  if (refuse(exchange, notes)) return;
  for (std::size_t i = 0; i < request.calls.size(); ++i) {
    CallOptions& options = request.calls[i].options;
    if (request.calls.size() > 1) options.request_id = exchange->request().id + "-" + std::to_string(i);
    if (!identify_or_refuse(services, exchange, options)) return;
  }
  const GenerateCall& first = request.calls.front();
  CompletionShape shape;
  shape.echo = request.echo;
  shape.logprobs = first.logprobs;
  shape.choices_per_prompt = first.n;
  OpenAiHead head = make_head(services, "cmpl-", first.options.model, request.answer, notes);
  std::vector<std::shared_ptr<AnswerStream>> streams;
  for (GenerateCall& call : request.calls)
    streams.push_back(services.common.models->generate(std::move(call)));
  std::unique_ptr<AnswerWriter> writer;
  if (request.answer.stream) {
    writer = std::make_unique<CompletionStreamWriter>(std::move(head), shape, streams.size());
  } else {
    writer = std::make_unique<WholeAnswerWriter>(
        streams.size(),
        [head = std::move(head), shape](std::vector<CollectedAnswer>& answers) {
          return completion_response(head, shape, answers);
        },
        [](const AnswerFailed& failed) { return openai_error(to_api_error(failed)); });
  }
  pump_answers(exchange, std::move(streams), std::move(writer), pump_options(services, request.answer));
}

}  // namespace mlxr::server
