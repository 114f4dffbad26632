#include "daemon/service/generate_run.h"

#include <algorithm>

#include <fmt/core.h>

#include "daemon/service/local_model_service.h"
#include "daemon/service/sampling_merge.h"

namespace mlxr {
namespace {

using nlohmann::ordered_json;
using GrammarResult = Result<std::shared_ptr<const Grammar>>;

GrammarResult compile(const Constraint& constraint, const Tokenizer& tokenizer) {
  GrammarOptions options;
  options.tokenizer = &tokenizer;
  switch (constraint.kind) {
    case Constraint::Kind::kNone:
      return std::shared_ptr<const Grammar>();
    case Constraint::Kind::kJsonObject:
      return Grammar::any_json_object(options);
    case Constraint::Kind::kJsonSchema:
      return Grammar::from_json_schema(constraint.source, options);
    case Constraint::Kind::kGbnf:
      return Grammar::from_gbnf(constraint.source, options);
    case Constraint::Kind::kRegex:
      return Grammar::from_regex(constraint.source, options);
    case Constraint::Kind::kChoices:
      return Grammar::from_choices(constraint.choices, options);
  }
  return internal("a constraint of no kind");
}

// All that a grammar is made of, as one text.
std::string grammar_key(const Constraint& constraint, const PreparedPrompt& prompt, const ChatFormat& format,
                        bool parallel) {
  ordered_json key = ordered_json::array();
  key.push_back(static_cast<int>(constraint.kind));
  key.push_back(constraint.source);
  key.push_back(constraint.choices);
  key.push_back({prompt.reasoning_open, prompt.may_reason, prompt.calls_required, parallel});
  key.push_back({format.calls.name, format.reasoning_end});
  for (const ToolSpec& tool : prompt.tools)
    key.push_back({tool.name, tool.parameters});
  return key.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

GenerateRun::GenerateRun(LocalModelService& service, GenerateCall call)
    : AnswerRun(service, "generate", call.options), call_(std::move(call)) {
  facts_.num_choices = call_.n;
  facts_.max_tokens = call_.max_tokens;
}

Status GenerateRun::check() const {
  if (call_.max_tokens < -1) return invalid_argument(fmt::format("max_tokens is {}", call_.max_tokens));
  const auto* chat = std::get_if<ChatInput>(&call_.input);
  if (chat != nullptr && chat->reasoning_budget < -1) {
    return invalid_argument(fmt::format("reasoning_budget is {}", chat->reasoning_budget));
  }
  return {};
}

ResolvedModel GenerateRun::resolved_for_call() const {
  ResolvedModel model = resolved();
  const auto* chat = std::get_if<ChatInput>(&call_.input);
  if (chat != nullptr && !chat->chat_template.empty()) model.chat_template = chat->chat_template;
  return model;
}

// A prompt can be shown without weights.
Result<bool> GenerateRun::without_engine() {
  MLXR_RETURN_IF_ERROR(check());
  if (!call_.render_only) return false;
  const ResolvedModel model = resolved_for_call();
  MLXR_ASSIGN_OR_RETURN(const ModelText text, service().texts().text_of(model));
  MLXR_ASSIGN_OR_RETURN(PreparedPrompt prompt, prepare_prompt(text, model, call_, 0));
  warnings_.insert(warnings_.end(), prompt.warnings.begin(), prompt.warnings.end());
  tell_start(prompt);
  done({.prompt_tokens = static_cast<std::int64_t>(prompt.tokens.size())});
  return true;
}

void GenerateRun::tell_start(const PreparedPrompt& prompt) {
  const bool shows = call_.echo || call_.render_only;
  emit(AnswerStarted{.model = facts_.model,
                     .prompt_tokens = static_cast<std::int64_t>(prompt.tokens.size()),
                     .prompt_text = shows ? prompt.text : "",
                     .prompt_ids = shows ? prompt.tokens : std::vector<TokenId>(),
                     .warnings = warnings_,
                     .load_ms = load_ms()});
}

Result<std::vector<std::shared_ptr<ResponseStream>>> GenerateRun::submit(Engine& engine) {
  const ResolvedModel model = resolved_for_call();
  MLXR_ASSIGN_OR_RETURN(const ModelText text, text_of(engine.model(), model));
  MLXR_ASSIGN_OR_RETURN(PreparedPrompt prompt, prepare_prompt(text, model, call_, engine.context()));
  warnings_.insert(warnings_.end(), prompt.warnings.begin(), prompt.warnings.end());
  if (prompt.exceeds_context) {
    outcome_.prompt_tokens = static_cast<std::int64_t>(prompt.tokens.size());
    fail(resource_exhausted(fmt::format("the prompt of {} tokens does not fit into the context of {}",
                                        prompt.tokens.size(), engine.context())),
         AnswerFailed::Kind::kContextExceeded);
    return std::vector<std::shared_ptr<ResponseStream>>();
  }
  MLXR_ASSIGN_OR_RETURN(GenerateRequest request, request_for(engine, text, model, prompt));
  // What the engine refuses has not started.
  auto stream = engine.generate(std::move(request));
  if (!stream.ok()) return refused_by_engine(stream.status());
  tell_start(prompt);
  note_queued(static_cast<std::int64_t>(prompt.tokens.size()));
  return std::vector<std::shared_ptr<ResponseStream>>{std::move(stream).value()};
}

Result<GenerateRequest> GenerateRun::request_for(const Engine& engine, const ModelText& text,
                                                 const ResolvedModel& model, PreparedPrompt& prompt) {
  SamplingOverrides sampling = call_.sampling;
  sampling.fill_from(model.sampling);
  sampling.fill_from(overrides_of(engine.model().sampling_defaults()));
  sampling.fill_from(call_.dialect_defaults);
  GenerateRequest request;
  MLXR_ASSIGN_OR_RETURN(request.sampling, sampling_params(sampling, *text.tokenizer));
  MLXR_ASSIGN_OR_RETURN(request.grammar, grammar_for(text, prompt));
  MLXR_ASSIGN_OR_RETURN(request.reasoning, reasoning_limit(text, prompt));
  const std::vector<std::string>& stop = call_.stop.empty() ? model.stop : call_.stop;
  prepare_readers(text, prompt, stop);
  if (reader_options_.mode == ChoiceReaderOptions::Mode::kEngine) request.stop = stop;
  request.stop_tokens = call_.stop_tokens;
  request.stop_tokens.insert(request.stop_tokens.end(), prompt.stop_tokens.begin(), prompt.stop_tokens.end());
  request.max_tokens = call_.max_tokens >= 0 ? call_.max_tokens : model.max_tokens.value_or(-1);
  request.n = call_.n;
  request.best_of = call_.best_of;
  request.logprobs = call_.logprobs;
  request.prompt_logprobs = call_.prompt_logprobs;
  request.top_logprobs = call_.top_logprobs;
  request.prefill_events = true;
  request.reuse_prefix = call_.reuse_prefix;
  request.max_draft_tokens = call_.speculate ? -1 : 0;
  request.origin = call_.options.origin;
  request.prompt = prompt.tokens;
  return request;
}

GrammarResult GenerateRun::grammar_for(const ModelText& text, const PreparedPrompt& prompt) {
  const auto* chat = std::get_if<ChatInput>(&call_.input);
  const bool parallel = chat == nullptr || chat->parallel_tool_calls;
  // Calls that nobody reads are not shaped either, unless they are required.
  const bool with_tools = !prompt.tools.empty() && (prompt.reads_output || prompt.calls_required);
  if (call_.constraint.kind == Constraint::Kind::kNone && !with_tools) return std::shared_ptr<const Grammar>();
  const auto make = [&]() -> GrammarResult {
    MLXR_ASSIGN_OR_RETURN(const auto content, compile(call_.constraint, *text.tokenizer));
    if (chat == nullptr) return content;
    AnswerGrammarOptions options{.calls_required = prompt.calls_required,
                                 .parallel = parallel,
                                 .content = content,
                                 .reasoning_open = prompt.reasoning_open,
                                 .may_reason = prompt.may_reason};
    if (with_tools) options.tools = prompt.tools;
    return answer_grammar(text.format, options);
  };
  const std::string key = grammar_key(call_.constraint, prompt, text.format, parallel);
  MLXR_ASSIGN_OR_RETURN(auto grammar, service().grammars(facts_.model)->get(key, make));
  if (grammar) warnings_.insert(warnings_.end(), grammar->warnings().begin(), grammar->warnings().end());
  return grammar;
}

Result<ReasoningLimit> GenerateRun::reasoning_limit(const ModelText& text, const PreparedPrompt& prompt) const {
  ReasoningLimit limit;
  const auto* chat = std::get_if<ChatInput>(&call_.input);
  if (chat == nullptr || chat->reasoning_budget < 0 || !text.format.reasons()) return limit;
  const auto plain = [&text](const std::string& mark) {
    const TextMark read = ChatFormat::text_mark(mark);
    return read.token ? std::string(text.tokenizer->piece(*read.token)) : read.text;
  };
  limit.max_tokens = chat->reasoning_budget;
  limit.open = prompt.reasoning_open;
  limit.begin = prompt.may_reason ? plain(text.format.reasoning_begin) : "";
  limit.end = plain(text.format.reasoning_end);
  limit.closing = text.tokenizer->encode("\n" + limit.end + "\n\n");
  return limit;
}

void GenerateRun::prepare_readers(const ModelText& text, const PreparedPrompt& prompt,
                                  const std::vector<std::string>& stop) {
  using Mode = ChoiceReaderOptions::Mode;
  OutputReaderOptions output{.reasoning_open = prompt.reasoning_open,
                             .read_reasoning = true,
                             .read_calls = !prompt.tools.empty(),
                             .stream_calls = prompt.calls_required || streams_calls(text.format.calls)};
  for (const ToolSpec& tool : prompt.tools) {
    const auto names = text_parameters_of(tool);
    output.text_parameters[tool.name].insert(names.begin(), names.end());
  }
  reader_options_ = {.choice = 0,
                     .tokenizer = text.tokenizer,
                     .format = text.format,
                     .output = std::move(output),
                     .mode = prompt.reads_output   ? Mode::kParts
                             : prompt.spells_marks ? Mode::kSpelled
                                                   : Mode::kEngine,
                     .stop = stop};
}

ChoiceReader& GenerateRun::reader(int choice) {
  const auto found = readers_.find(choice);
  if (found != readers_.end()) return found->second;
  reader_options_.choice = choice;
  return readers_.try_emplace(choice, reader_options_).first->second;
}

void GenerateRun::take(std::size_t /*stream*/, Event& event) {
  std::visit([this](auto& known) { take_event(known); }, event);
}

void GenerateRun::tell(std::vector<AnswerEvent>& events) {
  for (AnswerEvent& event : events) {
    if (const auto* finished = std::get_if<ChoiceFinished>(&event)) {
      outcome_.finish_reasons.push_back(finished->reason);
      outcome_.draft_tokens += finished->speculation.proposed;
      outcome_.accepted_tokens += finished->speculation.accepted;
    }
    emit(std::move(event));
  }
}

void GenerateRun::take_event(PrefillEvent& event) {
  note_prefill(event);
  if (call_.return_progress) emit(PrefillProgress{event.done_tokens, event.total_tokens, event.cached_tokens});
}

void GenerateRun::take_event(PromptEvent& event) {
  emit(PrefillDone{.cached_tokens = event.cached_tokens, .logprobs = std::move(event.logprobs)});
}

void GenerateRun::take_event(DeltaEvent& event) {
  if (!event.tokens.empty()) note_tokens(event.choice, static_cast<std::int64_t>(event.tokens.size()));
  ChoiceReader& choice = reader(event.choice);
  const bool stopped_before = choice.stopped();
  std::vector<AnswerEvent> events;
  choice.take(event, events);
  if (choice.stopped() && !stopped_before) stream(0)->end_choice(event.choice);
  tell(events);
}

void GenerateRun::take_event(FinishEvent& event) {
  std::vector<AnswerEvent> events;
  reader(event.choice).take(event, events);
  tell(events);
}

void GenerateRun::take_event(DoneEvent& event) {
  done_ = event;
}

void GenerateRun::complete() {
  // A call that was refused has no stream.
  AnswerDone answer{.prompt_tokens = done_.prompt_tokens,
                    .cached_tokens = done_.cached_tokens,
                    .generated_tokens = done_.generated_tokens};
  for (const auto& [index, choice] : readers_) {
    answer.generated_tokens -= choice.ignored_tokens();
    answer.reasoning_tokens += choice.reasoning_tokens();
    outcome_.num_tool_calls += choice.num_calls();
    for (const std::string& warning : choice.warnings()) {
      if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) warnings_.push_back(warning);
    }
  }
  outcome_.num_preemptions = done_.num_preemptions;
  answer.timings = {.queued_ms = done_.timings.queued_ms,
                    .prompt_ms = done_.timings.prompt_ms,
                    .generation_ms = done_.timings.generation_ms};
  done(std::move(answer));
}

}  // namespace mlxr
