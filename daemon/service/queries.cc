// What the service answers without an answer of a model: texts, tokens, plans, and whether engines still move.

#include <algorithm>

#include <fmt/core.h>

#include "daemon/service/local_model_service.h"
#include "daemon/service/prompt_preparation.h"

namespace mlxr {

Result<ModelAbilities> LocalModelService::abilities(const std::string& model) {
  MLXR_ASSIGN_OR_RETURN(const ResolvedModel resolved, resolve(model));
  MLXR_ASSIGN_OR_RETURN(const auto entry, texts_.open(resolved.path));
  MLXR_ASSIGN_OR_RETURN(const ModelText text, texts_.text_of(resolved));
  ModelAbilities abilities = text.abilities();
  abilities.embedding = entry->facts.embeds;
  return abilities;
}

Result<std::vector<TokenId>> LocalModelService::tokenize(const std::string& model, const std::string& text,
                                                         const TokenizeOptions& options) {
  MLXR_ASSIGN_OR_RETURN(const ResolvedModel resolved, resolve(model));
  MLXR_ASSIGN_OR_RETURN(const auto entry, texts_.open(resolved.path));
  return entry->tokenizer->encode(text, {.add_special = options.add_special, .parse_special = options.parse_special});
}

Result<std::vector<std::string>> LocalModelService::pieces(const std::string& model,
                                                           const std::vector<TokenId>& tokens) {
  MLXR_ASSIGN_OR_RETURN(const ResolvedModel resolved, resolve(model));
  MLXR_ASSIGN_OR_RETURN(const auto entry, texts_.open(resolved.path));
  const Tokenizer& tokenizer = *entry->tokenizer;
  std::vector<std::string> pieces;
  for (const TokenId token : tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= tokenizer.vocab_size()) {
      return invalid_argument(
          fmt::format("tokens: {} is outside of the vocabulary of {}", token, tokenizer.vocab_size()));
    }
    pieces.push_back(tokenizer.is_special(token) ? std::string(tokenizer.piece(token)) : tokenizer.token_bytes(token));
  }
  return pieces;
}

Result<std::string> LocalModelService::detokenize(const std::string& model, const std::vector<TokenId>& tokens) {
  MLXR_ASSIGN_OR_RETURN(const ResolvedModel resolved, resolve(model));
  MLXR_ASSIGN_OR_RETURN(const auto entry, texts_.open(resolved.path));
  const Tokenizer& tokenizer = *entry->tokenizer;
  for (const TokenId token : tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= tokenizer.vocab_size()) {
      return invalid_argument(
          fmt::format("tokens: {} is outside of the vocabulary of {}", token, tokenizer.vocab_size()));
    }
  }
  return tokenizer.decode(tokens);
}

Result<std::string> LocalModelService::render(const std::string& model, const ChatInput& input) {
  MLXR_ASSIGN_OR_RETURN(ResolvedModel resolved, resolve(model));
  if (!input.chat_template.empty()) resolved.chat_template = input.chat_template;
  MLXR_ASSIGN_OR_RETURN(const ModelText text, texts_.text_of(resolved));
  std::vector<std::string> warnings;
  return render_chat(text, resolved, input, warnings);
}

Result<std::int64_t> LocalModelService::count_tokens(const GenerateCall& call) {
  MLXR_ASSIGN_OR_RETURN(ResolvedModel resolved, resolve(call.options.model));
  const auto* chat = std::get_if<ChatInput>(&call.input);
  if (chat != nullptr && !chat->chat_template.empty()) resolved.chat_template = chat->chat_template;
  MLXR_ASSIGN_OR_RETURN(const ModelText text, texts_.text_of(resolved));
  MLXR_ASSIGN_OR_RETURN(const PreparedPrompt prompt, prepare_prompt(text, resolved, call, 0));
  return static_cast<std::int64_t>(prompt.tokens.size());
}

Result<ModelService::PlanAnswer> LocalModelService::plan(const PlanRequest& request) {
  MLXR_ASSIGN_OR_RETURN(const ResolvedModel resolved, resolve(request.model));
  CallOptions options{.model = request.model};
  if (request.context > 0) options.context = request.context;
  EngineSpec spec = spec_of(resolved, options);
  if (!request.kv_type.empty()) spec.engine.kv_type = request.kv_type;
  PlanAnswer answer;
  MLXR_ASSIGN_OR_RETURN(answer.plan, plan_memory(spec.path, spec.model, spec.engine, spec.max_step_tokens));
  answer.context = spec.engine.context;
  if (answer.context == 0) {
    MLXR_ASSIGN_OR_RETURN(const auto entry, texts_.open(resolved.path));
    answer.context = std::min(entry->facts.context_length, kDefaultMaxContext);
  }
  answer.budget_bytes = pool_.memory_budget();
  const bool is_loaded = pool_.find_loaded(resolved.name) != nullptr;
  EnginePool::Forecast forecast = pool_.forecast(is_loaded ? 0 : answer.plan.total());
  answer.in_use_bytes = forecast.in_use_bytes;
  answer.fits = forecast.fits;
  answer.would_unload = std::move(forecast.would_unload);
  return answer;
}

std::vector<ProbeReport> LocalModelService::probe(std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  struct Probe {
    std::shared_ptr<Engine> engine;
    std::shared_ptr<ResponseStream> stream;
    ProbeReport report;
  };
  const auto start = Clock::now();
  std::vector<Probe> probes;
  for (const LoadedEngineInfo& info : pool_.list()) {
    // Without a lease: a probe is no use that keeps a model loaded.
    Probe probe;
    probe.engine = pool_.find_loaded(info.name);
    probe.report.model = info.name;
    if (probe.engine == nullptr) continue;
    if (info.stats.last_step) {
      probe.report.last_step_age_ms = std::chrono::duration<double, std::milli>(start - *info.stats.last_step).count();
    }
    GenerateRequest request;
    const Tokenizer* tokenizer = probe.engine->model().tokenizer();
    request.prompt = {tokenizer != nullptr ? tokenizer->special().bos.value_or(0) : 0};
    request.sampling.temperature = 0.0F;
    request.max_tokens = 1;
    request.reuse_prefix = false;
    request.max_draft_tokens = 0;
    request.origin.priority = kMaxPriority;
    auto stream = probe.engine->generate(std::move(request));
    if (stream.ok()) {
      probe.stream = std::move(stream).value();
    } else {
      probe.report.message = stream.status().message();
    }
    probes.push_back(std::move(probe));
  }
  std::vector<ProbeReport> reports;
  for (Probe& probe : probes) {
    ProbeReport& report = probe.report;
    while (probe.stream != nullptr && !report.ok && report.message.empty()) {
      const auto event = probe.stream->next_until(start + timeout);
      if (!event) {
        report.message = fmt::format("no token within {} ms", timeout.count());
        probe.stream->cancel();
      } else if (const auto* failed = std::get_if<FailedEvent>(&*event)) {
        report.message = failed->status.message();
      } else {
        report.ok = std::holds_alternative<DoneEvent>(*event);
      }
    }
    report.probe_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace mlxr
