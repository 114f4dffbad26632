// Results of /completion and /infill: one JSON object each, whole or piece by piece.

#include <map>
#include <type_traits>
#include <utility>

#include "core/base/utf8.h"
#include "daemon/server/answer_json.h"
#include "daemon/server/llama_server/llama_server_completion.h"
#include "daemon/server/llama_server/llama_server_errors.h"
#include "daemon/server/llama_server/llama_server_handlers.h"
#include "daemon/server/openai/chat_answer.h"
#include "daemon/server/sse.h"

namespace mlxr::server {
namespace {

const char* stop_type(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText:
      return "eos";
    case FinishReason::kStopString:
      return "word";
    case FinishReason::kMaxTokens:
    case FinishReason::kContextFull:
      return "limit";
    case FinishReason::kCancelled:
      break;
  }
  return "none";
}

Json probability_json(const AnswerLogprob& entry) {
  Json out = {{"id", entry.token}};
  out.update(logprob_json(entry, false));
  return out;
}

Json probabilities_json(const std::vector<AnswerLogprob>& entries) {
  Json out = Json::array();
  for (const AnswerLogprob& entry : entries) {
    Json each = probability_json(entry);
    each["top_logprobs"] = Json::array();
    for (const AnswerLogprob& other : entry.top)
      each["top_logprobs"].push_back(probability_json(other));
    out.push_back(std::move(each));
  }
  return out;
}

std::size_t index_of(const LlamaServerHead& head, std::size_t source, int choice) {
  return source * static_cast<std::size_t>(head.choices_per_prompt) + static_cast<std::size_t>(choice);
}

// The last or only object of a choice; `content` and `tokens` are empty where they were streamed.
Json result_json(const LlamaServerHead& head, std::size_t index, const std::string& content,
                 const std::vector<TokenId>& tokens, const AnswerStarted& started, const ChoiceFinished& finish,
                 const AnswerDone& done) {
  AnswerDone of_choice = done;
  of_choice.generated_tokens = finish.num_tokens;
  Json settings = head.settings;
  settings["seed"] = finish.seed;
  return {{"index", index},
          {"content", content},
          {"tokens", head.options.return_token_ids ? tokens : std::vector<TokenId>()},
          {"id_slot", -1},
          {"stop", true},
          {"model", head.model},
          {"tokens_predicted", finish.num_tokens},
          {"tokens_evaluated", started.prompt_tokens},
          {"generation_settings", std::move(settings)},
          {"prompt", started.prompt_text},
          {"truncated", finish.reason == FinishReason::kContextFull},
          {"stop_type", stop_type(finish.reason)},
          {"stopping_word", finish.stop_string},
          {"tokens_cached", done.cached_tokens},
          {"timings", timings_json(of_choice, finish.speculation)}};
}

class LlamaServerStreamWriter : public AnswerWriter {
 public:
  LlamaServerStreamWriter(LlamaServerHead head, std::size_t num_prompts)
      : head_(std::move(head)), prompts_(num_prompts), num_left_(num_prompts) {}

  void take(AnswerEvent event, std::size_t source, http::Exchange& exchange) override {
    std::visit(
        [this, source, &exchange](auto& e) {
          using E = std::decay_t<decltype(e)>;
          PromptState& prompt = prompts_.at(source);
          if constexpr (std::is_same_v<E, LoadProgress> || std::is_same_v<E, PrefillProgress>) {
            if (head_.options.progress) progress(exchange, source, e);
          } else if constexpr (std::is_same_v<E, AnswerStarted>) {
            merge_warnings(head_.warnings, e.warnings);
            prompt.started = std::move(e);
          } else if constexpr (std::is_same_v<E, TextDelta> || std::is_same_v<E, ReasoningDelta>) {
            add_text(exchange, source, e);
          } else if constexpr (std::is_same_v<E, ChoiceFinished>) {
            warn_of_finish(e, head_.warnings);
            prompt.finishes.push_back(std::move(e));
          } else if constexpr (std::is_same_v<E, AnswerDone>) {
            end_prompt(exchange, source, e);
          } else if constexpr (std::is_same_v<E, AnswerFailed>) {
            fail(exchange, e);
          }
        },
        event);
  }

  bool over() const override { return over_; }

  void idle(http::Exchange& exchange) override {
    if (sse_.take_activity()) return;
    if (!sse_.began()) add_warnings(sse_.fields(), head_.warnings);
    sse_.comment(exchange, "ping");
  }

 private:
  struct PromptState {
    AnswerStarted started;
    std::map<int, std::int64_t> num_tokens;  // of each choice so far
    std::vector<ChoiceFinished> finishes;
  };

  void send(http::Exchange& exchange, const Json& result) {
    if (!sse_.began()) add_warnings(sse_.fields(), head_.warnings);
    sse_.data(exchange, json_text(result));
  }

  Json piece(std::size_t index, const std::string& content, const std::vector<TokenId>& tokens, std::int64_t num_tokens,
             const PromptState& prompt) const {
    return {{"index", index},
            {"content", content},
            {"tokens", tokens},
            {"stop", false},
            {"id_slot", -1},
            {"tokens_predicted", num_tokens},
            {"tokens_evaluated", prompt.started.prompt_tokens}};
  }

  void progress(http::Exchange& exchange, std::size_t source, const LoadProgress& event) {
    Json out = piece(index_of(head_, source, 0), "", {}, 0, prompts_[source]);
    out["load_progress"] = {{"fraction", event.fraction}};
    send(exchange, out);
  }

  void progress(http::Exchange& exchange, std::size_t source, const PrefillProgress& event) {
    Json out = piece(index_of(head_, source, 0), "", {}, 0, prompts_[source]);
    out["prompt_progress"] = {
        {"total", event.total_tokens}, {"cache", event.cached_tokens}, {"processed", event.done_tokens}};
    send(exchange, out);
  }

  template <class Delta>
  void add_text(http::Exchange& exchange, std::size_t source, const Delta& event) {
    PromptState& prompt = prompts_[source];
    std::int64_t& num_tokens = prompt.num_tokens[event.choice];
    num_tokens += static_cast<std::int64_t>(event.tokens.size());
    if (event.text.empty() && event.logprobs.empty() && !head_.options.return_token_ids) return;
    Json out = piece(index_of(head_, source, event.choice), event.text,
                     head_.options.return_token_ids ? event.tokens : std::vector<TokenId>(), num_tokens, prompt);
    if (head_.probabilities) out["completion_probabilities"] = probabilities_json(event.logprobs);
    send(exchange, out);
  }

  void end_prompt(http::Exchange& exchange, std::size_t source, const AnswerDone& done) {
    merge_warnings(head_.warnings, done.warnings);
    const bool last = --num_left_ == 0;
    const PromptState& prompt = prompts_[source];
    for (const ChoiceFinished& finish : prompt.finishes) {
      Json result = result_json(head_, index_of(head_, source, finish.choice), "", {}, prompt.started, finish, done);
      if (last && &finish == &prompt.finishes.back() && !head_.warnings.empty()) result["warnings"] = head_.warnings;
      send(exchange, result);
    }
    if (!last) return;
    over_ = true;
    exchange.end();
  }

  void fail(http::Exchange& exchange, const AnswerFailed& failed) {
    over_ = true;
    const ApiError error = to_api_error(failed);
    if (!sse_.began()) {
      exchange.respond(llama_server_error(error));
      return;
    }
    sse_.data(exchange, llama_server_error_body(error));
    exchange.end();
  }

  LlamaServerHead head_;
  SseStream sse_;
  std::vector<PromptState> prompts_;
  std::size_t num_left_;
  bool over_ = false;
};

struct SettingName {
  const char* name;
  Json (*value)(const SamplingOverrides& sampling);
};

template <auto Member>
Json value_of(const SamplingOverrides& sampling) {
  return (sampling.*Member).has_value() ? Json(*(sampling.*Member)) : Json();
}

constexpr SettingName kSettingNames[] = {
    {"temperature", value_of<&SamplingOverrides::temperature>},
    {"dynatemp_range", value_of<&SamplingOverrides::dynatemp_range>},
    {"dynatemp_exponent", value_of<&SamplingOverrides::dynatemp_exponent>},
    {"top_k", value_of<&SamplingOverrides::top_k>},
    {"top_p", value_of<&SamplingOverrides::top_p>},
    {"min_p", value_of<&SamplingOverrides::min_p>},
    {"typical_p", value_of<&SamplingOverrides::typical_p>},
    {"top_n_sigma", value_of<&SamplingOverrides::top_n_sigma>},
    {"xtc_probability", value_of<&SamplingOverrides::xtc_probability>},
    {"xtc_threshold", value_of<&SamplingOverrides::xtc_threshold>},
    {"repeat_penalty", value_of<&SamplingOverrides::repetition_penalty>},
    {"repeat_last_n", value_of<&SamplingOverrides::penalty_last_n>},
    {"frequency_penalty", value_of<&SamplingOverrides::frequency_penalty>},
    {"presence_penalty", value_of<&SamplingOverrides::presence_penalty>},
    {"dry_multiplier", value_of<&SamplingOverrides::dry_multiplier>},
    {"dry_base", value_of<&SamplingOverrides::dry_base>},
    {"dry_allowed_length", value_of<&SamplingOverrides::dry_allowed_length>},
    {"dry_penalty_last_n", value_of<&SamplingOverrides::dry_penalty_last_n>},
    {"dry_sequence_breakers", value_of<&SamplingOverrides::dry_sequence_breakers>},
    {"mirostat", value_of<&SamplingOverrides::mirostat>},
    {"mirostat_tau", value_of<&SamplingOverrides::mirostat_tau>},
    {"mirostat_eta", value_of<&SamplingOverrides::mirostat_eta>},
    {"samplers", value_of<&SamplingOverrides::samplers>},
};

}  // namespace

Json sampling_settings(const SamplingOverrides& sampling) {
  Json out = Json::object();
  for (const SettingName& row : kSettingNames) {
    if (Json value = row.value(sampling); !value.is_null()) out[row.name] = std::move(value);
  }
  return out;
}

std::unique_ptr<AnswerWriter> llama_server_stream_writer(LlamaServerHead head, std::size_t num_prompts) {
  return std::make_unique<LlamaServerStreamWriter>(std::move(head), num_prompts);
}

http::Response llama_server_results(const LlamaServerHead& head, const std::vector<CollectedAnswer>& answers) {
  std::vector<std::string> warnings = head.warnings;
  Json results = Json::array();
  for (std::size_t source = 0; source < answers.size(); ++source) {
    const CollectedAnswer& answer = answers[source];
    merge_warnings(warnings, answer.started.warnings);
    for (const CollectedChoice& choice : answer.choices) {
      warn_of_finish(choice.finish, warnings);
      Json result = result_json(head, index_of(head, source, choice.finish.choice), choice.reasoning + choice.text,
                                choice.tokens, answer.started, choice.finish, answer.done);
      if (head.probabilities) result["completion_probabilities"] = probabilities_json(choice.logprobs);
      results.push_back(std::move(result));
    }
    merge_warnings(warnings, answer.done.warnings);
  }
  if (results.size() != 1) return llama_server_answer(std::move(results), warnings);
  Json only = std::move(results.front());
  return llama_server_answer(std::move(only), warnings);
}

}  // namespace mlxr::server
