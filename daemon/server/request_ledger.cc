#include "daemon/server/request_ledger.h"

namespace mlxr::server {
namespace {

double seconds(double ms) {
  return ms / 1000.0;
}

const char* finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kMaxTokens:
    case FinishReason::kContextFull:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    default:
      return "stop";
  }
}

}  // namespace

std::string_view result_name(const RequestOutcome& outcome) {
  if (outcome.status.ok()) return "ok";
  switch (outcome.kind) {
    case AnswerFailed::Kind::kModelNotFound:
      return "not_found";
    case AnswerFailed::Kind::kContextExceeded:
      return "context";
    case AnswerFailed::Kind::kQueueFull:
      return "busy";
    case AnswerFailed::Kind::kMemoryFull:
      return "memory";
    case AnswerFailed::Kind::kOther:
      break;
  }
  switch (outcome.status.code()) {
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kInvalidArgument:
    case StatusCode::kUnsupported:
      return "bad_request";
    case StatusCode::kNotFound:
      return "not_found";
    case StatusCode::kResourceExhausted:
      return "busy";
    default:
      return "internal";
  }
}

void RequestLedger::arrived(const http::Request& request, const http::Route& route) {
  Arrival arrival{route.pattern, std::string(request.fields.find("traceparent").value_or("")), request.received};
  const std::lock_guard lock(mutex_);
  arrivals_.insert_or_assign(request.id, std::move(arrival));
}

void RequestLedger::left(const http::ServerOptions::Record& record) {
  std::string route = "none";
  {
    const std::lock_guard lock(mutex_);
    const auto found = arrivals_.find(record.request.id);
    if (found != arrivals_.end()) {
      route = std::move(found->second.route);
      arrivals_.erase(found);
    }
  }
  const double taken = std::chrono::duration<double>(record.duration).count();
  parts_.metrics.observe_http({.method = http::method_name(record.request.method),
                               .route = route,
                               .status = record.status,
                               .seconds = taken,
                               .sent_bytes = record.sent_bytes,
                               .cut = record.cut});
  const Caller caller = caller_of_request(record.request);
  parts_.log.write(record.status >= 500 ? LogLevel::kWarn : LogLevel::kInfo, "http.request",
                   {{"id", record.request.id},
                    {"method", http::method_name(record.request.method)},
                    {"path", record.request.path},
                    {"status", record.status},
                    {"ms", taken * 1e3},
                    {"bytes", record.sent_bytes},
                    {"cut", record.cut},
                    {"caller", caller.name}});
}

std::shared_ptr<RequestLedger::Call> RequestLedger::find(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : found->second;
}

void RequestLedger::received(const RequestFacts& facts) {
  auto call = std::make_shared<Call>();
  call->received = std::chrono::steady_clock::now();
  TraceIdentity identity{.request_id = facts.id, .model = facts.model, .dialect = facts.dialect};
  if (const auto caller = parts_.gate.caller_of(facts.caller_key)) identity.key_id = caller->key_id;
  const std::lock_guard lock(mutex_);
  // A request of several prompts is several calls, ID and "ID-1" and so on.
  auto arrival = arrivals_.find(facts.id);
  if (arrival == arrivals_.end()) arrival = arrivals_.find(facts.id.substr(0, facts.id.rfind('-')));
  if (arrival != arrivals_.end()) {
    identity.route = arrival->second.route;
    identity.traceparent = arrival->second.traceparent;
    call->received = arrival->second.time;
  }
  call->trace = parts_.traces.start(std::move(identity), call->received);
  calls_.insert_or_assign(facts.id, std::move(call));
}

void RequestLedger::tokens(const RequestFacts& facts, std::int64_t num_tokens) {
  const std::shared_ptr<Call> call = find(facts.id);
  if (call == nullptr || num_tokens <= 0) return;
  const Time now = std::chrono::steady_clock::now();
  if (call->token_gaps == nullptr) {
    call->token_gaps = &parts_.metrics.inter_token_latency.with({facts.model});
  } else if (facts.num_choices == 1) {
    const double gap = std::chrono::duration<double>(now - call->last_token).count();
    call->token_gaps->observe(gap / static_cast<double>(num_tokens), static_cast<std::uint64_t>(num_tokens));
  }
  call->last_token = now;
}

void RequestLedger::charge(const RequestFacts& facts, const RequestOutcome& outcome) {
  const std::optional<Caller> caller = parts_.gate.caller_of(facts.caller_key);
  if (!caller || outcome.prompt_tokens + outcome.generated_tokens == 0) return;
  const TokenUse use{outcome.prompt_tokens, outcome.cached_tokens, outcome.generated_tokens};
  const Status charged = parts_.access.charge(*caller, facts.model, use, std::chrono::system_clock::now());
  if (!charged.ok()) parts_.log.error("usage.lost", {{"id", facts.id}, {"error", charged}});
}

void RequestLedger::count(const RequestFacts& facts, const RequestOutcome& outcome) {
  AnswerObservation seen;
  // Names that nobody knows are a stranger's choice, and labels are kept for good.
  seen.model = outcome.kind == AnswerFailed::Kind::kModelNotFound ? "unknown" : facts.model;
  seen.dialect = facts.dialect;
  seen.key = std::string(account_of(facts.caller_key));
  seen.result = result_name(outcome);
  for (const FinishReason reason : outcome.finish_reasons)
    seen.finish_reasons.emplace_back(finish_name(reason));
  seen.prompt_tokens = outcome.prompt_tokens;
  seen.cached_tokens = outcome.cached_tokens;
  seen.generated_tokens = outcome.generated_tokens;
  seen.reasoning_tokens = outcome.reasoning_tokens;
  seen.n = facts.num_choices;
  seen.max_tokens = facts.max_tokens;
  if (outcome.first_token_ms >= 0.0) {
    seen.queue_seconds = seconds(outcome.timings.queued_ms);
    seen.first_token_seconds = seconds(outcome.first_token_ms);
    seen.prefill_seconds = seconds(outcome.timings.prompt_ms);
    seen.decode_seconds = seconds(outcome.timings.generation_ms);
  }
  seen.total_seconds = seconds(outcome.timings.total_ms);
  parts_.metrics.observe_answer(seen);
}

void RequestLedger::finished(const RequestFacts& facts, const RequestOutcome& outcome) {
  std::shared_ptr<Call> call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(facts.id);
    if (found != calls_.end()) {
      call = std::move(found->second);
      calls_.erase(found);
    }
  }
  count(facts, outcome);
  charge(facts, outcome);
  if (call != nullptr) {
    const Time now = std::chrono::steady_clock::now();
    if (call->generating) call->trace->add("decode", call->queued, now, {{"tokens", outcome.generated_tokens}});
    call->trace->set_model(facts.model);
    call->trace->set("prompt_tokens", outcome.prompt_tokens);
    call->trace->set("cached_tokens", outcome.cached_tokens);
    call->trace->set("generated_tokens", outcome.generated_tokens);
    call->trace->set("preemptions", outcome.num_preemptions);
    if (outcome.draft_tokens > 0) {
      call->trace->set("draft_tokens", outcome.draft_tokens);
      call->trace->set("accepted_tokens", outcome.accepted_tokens);
    }
    if (!outcome.status.ok()) call->trace->set("error", outcome.status.message());
    parts_.traces.finish(call->trace, std::string(result_name(outcome)), now);
  }
  if (!outcome.status.ok() && outcome.status.code() != StatusCode::kCancelled)
    parts_.log.warn("request.failed", {{"id", facts.id}, {"model", facts.model}, {"error", outcome.status}});
}

ServiceObserver RequestLedger::observer() {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  ServiceObserver hooks;
  hooks.received = [this](const RequestFacts& facts) { received(facts); };
  hooks.model_ready = [this, now](const RequestFacts& facts, double load_ms) {
    const std::shared_ptr<Call> call = find(facts.id);
    if (call == nullptr) return;
    call->ready = now();
    call->trace->set_model(facts.model);
    call->trace->add("load", call->received, call->ready, {{"load_ms", load_ms}});
  };
  hooks.queued = [this, now](const RequestFacts& facts, std::int64_t prompt_tokens) {
    const std::shared_ptr<Call> call = find(facts.id);
    if (call == nullptr) return;
    call->queued = now();
    call->trace->add("prepare", call->ready, call->queued, {{"prompt_tokens", prompt_tokens}});
  };
  hooks.admitted = [this, now](const RequestFacts& facts, std::int64_t cached_tokens) {
    const std::shared_ptr<Call> call = find(facts.id);
    if (call == nullptr) return;
    call->admitted = now();
    call->trace->add("queued", call->queued, call->admitted, {{"cached_tokens", cached_tokens}});
  };
  hooks.prefill = [this, now](const RequestFacts& facts, const PrefillProgress& progress) {
    if (const std::shared_ptr<Call> call = find(facts.id)) {
      call->trace->event("prefill_chunk", now(), {{"done", progress.done_tokens}, {"total", progress.total_tokens}});
    }
  };
  hooks.first_token = [this, now](const RequestFacts& facts) {
    const std::shared_ptr<Call> call = find(facts.id);
    if (call == nullptr) return;
    const Time at = now();
    call->trace->add("prefill", call->admitted == Time{} ? call->queued : call->admitted, at);
    call->trace->event("first_token", at);
    call->queued = at;
    call->generating = true;
  };
  hooks.tokens = [this](const RequestFacts& facts, int /*choice*/, std::int64_t num_tokens) {
    tokens(facts, num_tokens);
  };
  hooks.finished = [this](const RequestFacts& facts, const RequestOutcome& outcome) { finished(facts, outcome); };
  hooks.loaded = [this](const std::string& model, double load_ms, const Status& status) {
    parts_.metrics.model_loads.with({model, status.ok() ? "ok" : "failed"}).add();
    if (status.ok()) {
      parts_.metrics.model_load_time.with({model}).observe(seconds(load_ms));
      parts_.log.info("model.loaded", {{"model", model}, {"ms", load_ms}});
    } else {
      parts_.log.error("model.load_failed", {{"model", model}, {"error", status}});
    }
  };
  return hooks;
}

}  // namespace mlxr::server
