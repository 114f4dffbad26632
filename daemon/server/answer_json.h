#pragma once
// Pieces of answers that dialects share: usage, timings, log probabilities, warnings.

#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/message.h"
#include "daemon/server/json.h"
#include "daemon/service/answer_event.h"

namespace mlxr::server {

// OpenAI's: prompt_tokens, completion_tokens, total_tokens and their details.
Json usage_json(const AnswerDone& done);
Json usage_json(std::int64_t prompt_tokens, std::int64_t generated_tokens, std::int64_t cached_tokens,
                std::int64_t reasoning_tokens);
// llama-server's: cache_n, prompt_n, prompt_ms, predicted_n, ..., and queued_ms, load_ms and total_ms beside them.
// draft_n and draft_n_accepted when something was proposed.
Json timings_json(const AnswerDone& done, const SpecReport& speculation = {});
// {token, logprob, bytes, top_logprobs}, as OpenAI's chat and Ollama have it. `top` as many as were asked for.
Json logprob_json(const AnswerLogprob& entry, bool with_top = true);
// A finite number, as JSON has no infinities: minus infinity is -9999, which OpenAI uses too.
double finite_logprob(double logprob);

// Warnings in one header field's value: on one line, without bytes that a header must not have, of bounded length.
std::string warning_header(const std::vector<std::string>& warnings);
inline constexpr const char* kWarningHeader = "X-MLXR-Warning";
// The header, when there are warnings.
void add_warnings(http::Fields& fields, const std::vector<std::string>& warnings);
// `more` without those that `warnings` has.
void merge_warnings(std::vector<std::string>& warnings, const std::vector<std::string>& more);

// Padded, as RFC 4648 section 4.
std::string base64(std::string_view bytes);

}  // namespace mlxr::server
