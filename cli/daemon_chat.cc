#include "cli/daemon_chat.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

#include "cli/output.h"
#include "cli/repl/settings.h"

namespace mlxr::cli {
namespace {

using Json = nlohmann::ordered_json;

template <auto Member>
Json sampling_value(const GenerateOptions& options) {
  return options.sampling.*Member;
}

// A parameter of /set, the member of a request that says it, and its value.
struct Field {
  std::string_view parameter;
  const char* member;
  Json (*value)(const GenerateOptions& options);
};

constexpr Field kFields[] = {
    {"temperature", "temperature", sampling_value<&SamplingParams::temperature>},
    {"top_k", "top_k", sampling_value<&SamplingParams::top_k>},
    {"top_p", "top_p", sampling_value<&SamplingParams::top_p>},
    {"min_p", "min_p", sampling_value<&SamplingParams::min_p>},
    {"typical_p", "typical_p", sampling_value<&SamplingParams::typical_p>},
    {"repeat_penalty", "repeat_penalty", sampling_value<&SamplingParams::repetition_penalty>},
    {"presence_penalty", "presence_penalty", sampling_value<&SamplingParams::presence_penalty>},
    {"frequency_penalty", "frequency_penalty", sampling_value<&SamplingParams::frequency_penalty>},
    {"repeat_last_n", "repeat_last_n", sampling_value<&SamplingParams::penalty_last_n>},
    {"top_n_sigma", "top_n_sigma", sampling_value<&SamplingParams::top_n_sigma>},
    {"xtc_probability", "xtc_probability", sampling_value<&SamplingParams::xtc_probability>},
    {"xtc_threshold", "xtc_threshold", sampling_value<&SamplingParams::xtc_threshold>},
    {"dynatemp_range", "dynatemp_range", sampling_value<&SamplingParams::dynatemp_range>},
    {"dynatemp_exponent", "dynatemp_exponent", sampling_value<&SamplingParams::dynatemp_exponent>},
    {"dry_multiplier", "dry_multiplier", sampling_value<&SamplingParams::dry_multiplier>},
    {"dry_base", "dry_base", sampling_value<&SamplingParams::dry_base>},
    {"dry_allowed_length", "dry_allowed_length", sampling_value<&SamplingParams::dry_allowed_length>},
    {"dry_penalty_last_n", "dry_penalty_last_n", sampling_value<&SamplingParams::dry_penalty_last_n>},
    {"dry_sequence_breaker", "dry_sequence_breakers", sampling_value<&SamplingParams::dry_sequence_breakers>},
    {"mirostat", "mirostat", sampling_value<&SamplingParams::mirostat>},
    {"mirostat_tau", "mirostat_tau", sampling_value<&SamplingParams::mirostat_tau>},
    {"mirostat_eta", "mirostat_eta", sampling_value<&SamplingParams::mirostat_eta>},
    {"samplers", "samplers",
     [](const GenerateOptions& options) {
       return options.sampling.samplers ? Json(*options.sampling.samplers) : Json();
     }},
    {"bad_word", "bad_words", sampling_value<&SamplingParams::bad_words>},
    {"ignore_eos", "ignore_eos", sampling_value<&SamplingParams::ignore_eos>},
    {"min_tokens", "min_tokens", sampling_value<&SamplingParams::min_tokens>},
    {"seed", "seed",
     [](const GenerateOptions& options) { return options.sampling.seed ? Json(*options.sampling.seed) : Json(); }},
    {"num_predict", "max_tokens",
     [](const GenerateOptions& options) { return options.max_tokens < 0 ? Json() : Json(options.max_tokens); }},
    {"stop", "stop", [](const GenerateOptions& options) { return Json(options.stop); }},
};

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class T>
T number_at(const Json& object, const char* key) {
  if (!object.is_object()) return T{};
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<T>() : T{};
}

// What the events of a stream come to.
class AnswerReader {
 public:
  AnswerReader(const AnswerCallbacks& callbacks, Answer& answer) : callbacks_(callbacks), answer_(answer) {}

  Status take(const Json& event) {
    if (!event.is_object()) return corrupt("the server sent an event that is no object");
    progress(event);
    if (const auto warnings = event.find("warnings"); warnings != event.end() && warnings->is_array()) {
      for (const Json& warning : *warnings)
        if (warning.is_string()) answer_.warnings.push_back(warning.get<std::string>());
    }
    if (const auto usage = event.find("usage"); usage != event.end() && usage->is_object()) figures(*usage, event);
    const auto choices = event.find("choices");
    if (choices == event.end() || !choices->is_array() || choices->empty()) return {};
    choice(choices->front());
    return {};
  }

  // Calls are shown whole, when it is clear what they are.
  void finish() {
    for (const auto& [name, arguments] : calls_) {
      const Json parsed = Json::parse(arguments, nullptr, false);
      const Json call = {{"name", name}, {"arguments", parsed.is_discarded() ? Json(arguments) : parsed}};
      text((answer_.text.empty() || answer_.text.ends_with('\n') ? "" : "\n") + call.dump() + "\n");
    }
  }

 private:
  void progress(const Json& event) {
    if (const auto load = event.find("load_progress"); load != event.end() && callbacks_.on_load)
      callbacks_.on_load(number_at<double>(*load, "fraction"));
    if (const auto prompt = event.find("prompt_progress"); prompt != event.end() && callbacks_.on_prefill) {
      callbacks_.on_prefill(number_at<std::int64_t>(*prompt, "processed"), number_at<std::int64_t>(*prompt, "total"));
    }
  }

  void figures(const Json& usage, const Json& event) {
    answer_.prompt_tokens = number_at<std::int64_t>(usage, "prompt_tokens");
    answer_.generated_tokens = number_at<std::int64_t>(usage, "completion_tokens");
    const auto details = usage.find("prompt_tokens_details");
    if (details != usage.end()) answer_.cached_tokens = number_at<std::int64_t>(*details, "cached_tokens");
    const auto timings = event.find("timings");
    if (timings == event.end()) return;
    answer_.prompt_ms = number_at<double>(*timings, "prompt_ms");
    answer_.generation_ms = number_at<double>(*timings, "predicted_ms");
    answer_.load_ms = number_at<double>(*timings, "load_ms");
  }

  void choice(const Json& choice) {
    if (!choice.is_object()) return;
    text(text_at(choice, "text"));  // of /v1/completions
    if (const auto delta = choice.find("delta"); delta != choice.end() && delta->is_object()) {
      const std::string thought = text_at(*delta, "reasoning_content");
      answer_.reasoning += thought;
      if (!thought.empty() && callbacks_.on_reasoning) callbacks_.on_reasoning(thought);
      text(text_at(*delta, "content"));
      if (const auto calls = delta->find("tool_calls"); calls != delta->end() && calls->is_array()) {
        for (const Json& call : *calls)
          add_call(call);
      }
    }
    const std::string reason = text_at(choice, "finish_reason");
    if (reason == "length") answer_.finish_reason = FinishReason::kMaxTokens;
    if (!text_at(choice, "stop_reason").empty()) answer_.finish_reason = FinishReason::kStopString;
  }

  void add_call(const Json& call) {
    constexpr std::size_t kMaxCalls = 1024;
    const auto index = number_at<std::size_t>(call, "index");
    if (!call.is_object() || index >= kMaxCalls) return;
    if (calls_.size() <= index) calls_.resize(index + 1);
    const auto function = call.find("function");
    if (function == call.end()) return;
    calls_[index].first += text_at(*function, "name");
    calls_[index].second += text_at(*function, "arguments");
  }

  void text(const std::string& piece) {
    if (piece.empty()) return;
    answer_.text += piece;
    if (callbacks_.on_text) callbacks_.on_text(piece);
  }

  const AnswerCallbacks& callbacks_;
  Answer& answer_;
  std::vector<std::pair<std::string, std::string>> calls_;  // name, arguments
};

}  // namespace

DaemonChat::DaemonChat(DaemonClient& client, DaemonChatOptions options)
    : client_(client), options_(std::move(options)) {}

Json DaemonChat::request() const {
  Json body = {{"model", options_.model}, {"stream", true}};
  body["stream_options"] = {{"include_usage", true}, {"include_progress", true}};
  if (options_.raw) {
    std::string prompt = options_.system;
    for (const Json& message : history_)
      prompt += message["content"].get_ref<const std::string&>();
    body["prompt"] = prompt;
    // Of completions the default is OpenAI's sixteen tokens.
    body["max_tokens"] = -1;
  } else {
    Json messages = Json::array();
    if (!options_.system.empty()) messages.push_back({{"role", "system"}, {"content", options_.system}});
    for (const Json& message : history_)
      messages.push_back(message);
    body["messages"] = std::move(messages);
    if (!options_.tools.is_null()) body["tools"] = options_.tools;
    if (!think_.is_null()) body["think"] = think_;
  }
  for (const Field& field : kFields) {
    if (!given_.contains(field.parameter)) continue;
    Json value = field.value(generate_);
    if (!value.is_null()) body[field.member] = std::move(value);
  }
  if (!options_.logit_bias.is_null()) body["logit_bias"] = options_.logit_bias;
  if (!format_.is_null()) body["response_format"] = format_;
  if (!options_.keep_alive.empty()) body["keep_alive"] = options_.keep_alive;
  if (options_.context > 0) body["num_ctx"] = options_.context;
  return body;
}

Result<Answer> DaemonChat::say(const std::string& message, const AnswerCallbacks& callbacks) {
  history_.push_back({{"role", "user"}, {"content", message}});
  const Json body = request();
  Answer answer;
  AnswerReader reader(callbacks, answer);
  const Status status = client_.stream({.method = "POST",
                                        .path = options_.raw ? "/v1/completions" : "/v1/chat/completions",
                                        .body = &body,
                                        .cancel = callbacks.cancel},
                                       [&reader](const Json& event) { return reader.take(event); });
  if (status.code() == StatusCode::kCancelled) {
    answer.finish_reason = FinishReason::kCancelled;
  } else if (!status.ok()) {
    history_.erase(history_.size() - 1);
    return status;
  }
  reader.finish();
  history_.push_back({{"role", "assistant"}, {"content", answer.text}});
  return answer;
}

void DaemonChat::clear() {
  history_ = Json::array();
}

Status DaemonChat::set_parameter(std::string_view name, std::string_view value) {
  MLXR_RETURN_IF_ERROR(cli::set_parameter(generate_, name, value));
  given_.emplace(name);
  return {};
}

std::vector<ParameterText> DaemonChat::parameters() const {
  std::vector<ParameterText> texts = parameter_texts(generate_);
  for (ParameterText& text : texts) {
    if (!given_.contains(text.name)) text.value = "the model's";
  }
  return texts;
}

Status DaemonChat::set_format(const std::string& format) {
  if (format.empty()) {
    format_ = Json();
    return {};
  }
  if (format == "json") {
    format_ = {{"type", "json_object"}};
    return {};
  }
  Json schema = Json::parse(format, nullptr, false);
  if (schema.is_discarded() || !schema.is_object())
    return invalid_argument("a format is json, or a JSON Schema: {\"type\": ...}");
  format_ = {{"type", "json_schema"}, {"json_schema", {{"name", "answer"}, {"schema", std::move(schema)}}}};
  return {};
}

Status DaemonChat::set_think(const std::string& think) {
  constexpr std::array<std::string_view, 4> kEfforts = {"low", "medium", "high", "max"};
  if (think.empty()) {
    think_ = Json();
  } else if (think == "true" || think == "false") {
    think_ = think == "true";
  } else if (std::ranges::find(kEfforts, think) != kEfforts.end()) {
    think_ = think;
  } else {
    return invalid_argument(fmt::format("think: \"{}\" is not true, false, low, medium, high or max", think));
  }
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> DaemonChat::info() {
  MLXR_ASSIGN_OR_RETURN(const Json model, client_.call({.path = "/v1/models/" + escaped_path_part(options_.model)}));
  std::vector<std::pair<std::string, std::string>> rows = {{"model", options_.model},
                                                           {"daemon", client_.address().text()}};
  const Json meta = model.value("meta", Json::object());
  if (!text_at(meta, "family").empty()) rows.emplace_back("family", text_at(meta, "family"));
  if (meta.contains("n_params")) rows.emplace_back("parameters", format_count(number_at<double>(meta, "n_params")));
  if (!text_at(meta, "quantization").empty()) rows.emplace_back("quantization", text_at(meta, "quantization"));
  if (meta.contains("size")) rows.emplace_back("size", format_bytes(number_at<double>(meta, "size")));
  MLXR_ASSIGN_OR_RETURN(const Json running, client_.call({.path = "/v1/running"}));
  for (const Json& entry : running.value("models", Json::array())) {
    if (text_at(entry, "model") != text_at(model, "id") && text_at(entry, "model") != options_.model) continue;
    rows.emplace_back("context", fmt::format("{} of {} tokens", number_at<std::int64_t>(entry, "context"),
                                             number_at<std::int64_t>(model, "context_length")));
    const Json memory = entry.value("memory", Json::object());
    rows.emplace_back("memory", format_bytes(number_at<double>(memory, "total_bytes")));
    rows.emplace_back("KV cache", format_bytes(number_at<double>(memory, "kv_bytes")));
  }
  return rows;
}

Result<std::string> DaemonChat::text_of_model(std::string_view what) {
  const Json body = {{"model", options_.model}};
  MLXR_ASSIGN_OR_RETURN(const Json shown, client_.call({.method = "POST", .path = "/api/show", .body = &body}));
  const std::string text = text_at(shown, std::string(what).c_str());
  if (text.empty()) return not_found(fmt::format("this model has no {}", what));
  return text;
}

}  // namespace mlxr::cli
