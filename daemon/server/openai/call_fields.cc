#include "daemon/server/openai/call_fields.h"

#include <algorithm>
#include <utility>

#include "daemon/server/constraint_fields.h"
#include "daemon/server/keep_alive.h"
#include "daemon/server/sampling_json.h"

namespace mlxr::server {
namespace {

constexpr std::int64_t kMaxChoices = 128;
constexpr std::int64_t kMaxContext = std::int64_t{1} << 31;

constexpr FieldTreatment kSilent = FieldTreatment::kSilent;
constexpr FieldTreatment kWarn = FieldTreatment::kWarn;
constexpr FieldTreatment kRefuse = FieldTreatment::kRefuse;

constexpr KnownField kOtherFields[] = {
    // OpenAI's, for its own accounting and hardware.
    {"metadata", kSilent, ""},
    {"service_tier", kSilent, ""},
    {"safety_identifier", kSilent, ""},
    {"prompt_cache_retention", kSilent, ""},
    {"prediction", kSilent, ""},
    {"request_id", kSilent, ""},
    {"session_id", kSilent, ""},
    {"store", kWarn, "answers of this route are not kept; /v1/responses keeps them"},
    {"verbosity", kWarn, "models here have no such control"},
    {"audio", kRefuse, "models here write text alone"},
    {"web_search_options", kRefuse, "this server does not search the web"},
    {"functions", kRefuse, "say tools"},
    {"function_call", kRefuse, "say tool_choice"},
    {"modalities", kSilent, ""},
    // vLLM's.
    {"use_beam_search", kRefuse, "there is no beam search; best_of picks among samples"},
    {"length_penalty", kWarn, "it belongs to beam search"},
    {"early_stopping", kWarn, "it belongs to beam search"},
    {"include_stop_str_in_output", kRefuse, "a stop string is never part of the text; stop_reason names it"},
    {"skip_special_tokens", kSilent, ""},
    {"spaces_between_special_tokens", kSilent, ""},
    {"truncate_prompt_tokens", kRefuse, "prompts are never cut without being asked; shorten it"},
    {"allowed_token_ids", kRefuse, "say structured_outputs, or logit_bias"},
    {"logprob_token_ids", kRefuse, "say top_logprobs"},
    {"repetition_detection", kRefuse, "say dry_multiplier or repetition_penalty"},
    {"logits_processors", kRefuse, "code is not taken from requests"},
    {"kv_transfer_params", kRefuse, "keys and values stay on this server"},
    {"mm_processor_kwargs", kRefuse, "models here read text alone"},
    {"stream_interval", kWarn, "each token is sent as it comes"},
    {"return_prompt_text", kRefuse, "say echo on /v1/completions"},
    {"vllm_xargs", kWarn, "they belong to plugins"},
    // llama-server's.
    {"id_slot", kWarn, "the server assigns memory itself"},
    {"n_keep", kWarn, "a prompt is never shifted out of the context"},
    {"n_discard", kWarn, "a prompt is never shifted out of the context"},
    {"n_indent", kRefuse, "say a grammar"},
    {"n_cache_reuse", kWarn, "prefixes are shared by blocks"},
    {"t_max_predict_ms", kRefuse, "close the connection when it takes too long"},
    {"t_max_prompt_ms", kRefuse, "close the connection when it takes too long"},
    {"min_keep", kRefuse, "samplers have no such limit"},
    {"post_sampling_probs", kRefuse, "log probabilities are those of the model"},
    {"adaptive_target", kRefuse, "there is no such sampler"},
    {"adaptive_decay", kRefuse, "there is no such sampler"},
    {"timings_per_token", kWarn, "timings come with the last chunk"},
    {"reasoning_control", kWarn, "reasoning cannot be ended from outside"},
    {"response_fields", kWarn, "answers are whole"},
    {"lora", kRefuse, "adapters are not supported"},
    {"speculative.n_max", kWarn, "the server measures what pays"},
    {"speculative.n_min", kWarn, "the server measures what pays"},
    {"speculative.p_min", kWarn, "the server measures what pays"},
};

void read_modalities(JsonFields& fields) {
  const auto modalities = fields.strings("modalities", 16);
  if (!modalities.has_value()) return;
  for (const std::string& each : *modalities) {
    if (each != "text") {
      fields.notes().fail(ApiErrorKind::kUnsupported, "modalities",
                          "field 'modalities' asks for " + json_quoted(each) + ": models here write text alone");
    }
  }
}

}  // namespace

SamplingOverrides openai_sampling_defaults() {
  SamplingOverrides sampling;
  sampling.temperature = 1.0F;
  sampling.top_p = 1.0F;
  // Penalties look at the whole text.
  sampling.penalty_last_n = -1;
  return sampling;
}

void read_origin(JsonFields& fields, CallOptions& options) {
  const std::string cache_key = fields.string("prompt_cache_key").value_or("");
  const std::string user = fields.string("user").value_or("");
  options.origin.caller_key = user.empty() ? cache_key : user;
  options.origin.cache_salt = fields.string("cache_salt").value_or("");
  // vLLM's: the lower, the sooner.
  if (const auto priority = fields.integer("priority")) {
    options.origin.priority = static_cast<int>(-std::clamp<std::int64_t>(*priority, -kMaxPriority, kMaxPriority));
  }
  read_keep_alive(fields, options);
  options.context = fields.integer("num_ctx", {.min = 1, .max = kMaxContext});
  if (const Json* native = fields.object("options")) {
    JsonFields inner(*native, "options.", fields.notes());
    if (const auto context = inner.integer("num_ctx", {.min = 1, .max = kMaxContext})) options.context = context;
    inner.finish();
  }
}

void read_stream(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer) {
  answer.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.object("stream_options")) {
    JsonFields inner(*options, "stream_options.", fields.notes());
    answer.include_usage = inner.boolean("include_usage").value_or(false);
    answer.continuous_usage = inner.boolean("continuous_usage_stats").value_or(false);
    call.return_progress = inner.boolean("include_progress").value_or(false);
    inner.boolean("include_obfuscation");
    inner.finish();
  }
  if (fields.boolean("return_progress").value_or(false)) call.return_progress = true;
  answer.progress = call.return_progress;
  if (const auto seconds = fields.integer("sse_ping_interval", {.min = -1, .max = 86400})) {
    answer.ping_period = std::chrono::seconds(std::max<std::int64_t>(*seconds, 0));
  }
}

void read_generation(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer) {
  call.options.model = fields.required_string("model");
  read_generation_fields(fields, call, answer);
}

void read_generation_fields(JsonFields& fields, GenerateCall& call, OpenAiAnswerOptions& answer) {
  read_origin(fields, call.options);
  read_stream(fields, call, answer);
  call.dialect_defaults = openai_sampling_defaults();
  read_sampling(fields, call.sampling);
  read_logit_bias(fields, call.sampling);
  read_stops(fields, call);
  read_constraint(fields, call);
  const auto n = fields.integer("n", {.min = 1, .max = kMaxChoices});
  const auto n_cmpl = fields.integer("n_cmpl", {.min = 1, .max = kMaxChoices});
  call.n = static_cast<int>(n.value_or(n_cmpl.value_or(1)));
  if (const auto best_of = fields.integer("best_of", {.min = 1, .max = kMaxChoices})) {
    call.best_of = static_cast<int>(*best_of);
    if (call.best_of < call.n) fields.invalid("best_of", "must be at least n");
    if (call.best_of == call.n) call.best_of = 0;
    if (call.best_of > 0 && answer.stream) {
      fields.invalid("best_of", "needs all choices before it knows the best: it does not go with stream");
    }
  }
  call.reuse_prefix = fields.boolean("cache_prompt").value_or(true);
  if (const auto count = fields.integer("prompt_logprobs", {.min = -1, .max = 20}); count.value_or(-1) >= 0) {
    answer.prompt_logprobs = true;
    call.prompt_logprobs = true;
    call.top_logprobs = static_cast<int>(*count);
    if (answer.stream) fields.invalid("prompt_logprobs", "does not go with stream");
  }
  answer.return_token_ids = fields.boolean("return_token_ids").value_or(false);
  if (fields.boolean("return_tokens").value_or(false)) answer.return_token_ids = true;
  if (answer.return_token_ids || answer.prompt_logprobs) call.echo = true;
  if (!fields.boolean("skip_special_tokens").value_or(true)) {
    fields.notes().fail(ApiErrorKind::kUnsupported, "skip_special_tokens",
                        "field 'skip_special_tokens' is not supported: special tokens are never part of an answer's "
                        "text; return_token_ids shows them");
  }
  read_modalities(fields);
}

void treat_other_fields(JsonFields& fields) {
  fields.treat(kOtherFields);
}

}  // namespace mlxr::server
