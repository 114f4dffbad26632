#include "daemon/server/answer_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/utf8.h"

namespace mlxr::server {
namespace {

constexpr std::size_t kMaxHeaderBytes = 2000;

double per_second(std::int64_t count, double ms) {
  return ms > 0.0 ? static_cast<double>(count) * 1000.0 / ms : 0.0;
}

Json bytes_json(std::string_view text) {
  Json bytes = Json::array();
  for (const char c : text)
    bytes.push_back(static_cast<unsigned>(static_cast<unsigned char>(c)));
  return bytes;
}

}  // namespace

Json usage_json(std::int64_t prompt_tokens, std::int64_t generated_tokens, std::int64_t cached_tokens,
                std::int64_t reasoning_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", generated_tokens},
          {"total_tokens", prompt_tokens + generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens}}}};
}

Json usage_json(const AnswerDone& done) {
  return usage_json(done.prompt_tokens, done.generated_tokens, done.cached_tokens, done.reasoning_tokens);
}

Json timings_json(const AnswerDone& done, const SpecReport& speculation) {
  const AnswerTimings& times = done.timings;
  const std::int64_t computed = done.prompt_tokens - done.cached_tokens;
  const auto each = [](double ms, std::int64_t count) { return count > 0 ? ms / static_cast<double>(count) : 0.0; };
  Json timings = {{"cache_n", done.cached_tokens},
                  {"prompt_n", computed},
                  {"prompt_ms", times.prompt_ms},
                  {"prompt_per_token_ms", each(times.prompt_ms, computed)},
                  {"prompt_per_second", per_second(computed, times.prompt_ms)},
                  {"predicted_n", done.generated_tokens},
                  {"predicted_ms", times.generation_ms},
                  {"predicted_per_token_ms", each(times.generation_ms, done.generated_tokens)},
                  {"predicted_per_second", per_second(done.generated_tokens, times.generation_ms)},
                  {"load_ms", times.load_ms},
                  {"queued_ms", times.queued_ms},
                  {"total_ms", times.total_ms}};
  if (speculation.proposed > 0) {
    timings["draft_n"] = speculation.proposed;
    timings["draft_n_accepted"] = speculation.accepted;
  }
  return timings;
}

double finite_logprob(double logprob) {
  constexpr double kLowest = -9999.0;
  return std::isnan(logprob) ? kLowest : std::clamp(logprob, kLowest, 0.0);
}

Json logprob_json(const AnswerLogprob& entry, bool with_top) {
  Json out = {{"token", entry.text}, {"logprob", finite_logprob(entry.logprob)}, {"bytes", bytes_json(entry.text)}};
  if (!with_top) return out;
  Json top = Json::array();
  for (const AnswerLogprob& other : entry.top)
    top.push_back(logprob_json(other, false));
  out["top_logprobs"] = std::move(top);
  return out;
}

std::string warning_header(const std::vector<std::string>& warnings) {
  std::string out;
  for (const std::string& warning : warnings) {
    if (!out.empty()) out += "; ";
    for (const char c : warning)
      out += (c >= ' ' && c <= '~') ? c : '?';
    if (out.size() > kMaxHeaderBytes) break;
  }
  if (out.size() > kMaxHeaderBytes) {
    out.resize(kMaxHeaderBytes);
    out += "...";
  }
  return out;
}

void add_warnings(http::Fields& fields, const std::vector<std::string>& warnings) {
  if (!warnings.empty()) fields.add(kWarningHeader, warning_header(warnings));
}

void merge_warnings(std::vector<std::string>& warnings, const std::vector<std::string>& more) {
  for (const std::string& warning : more) {
    if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) warnings.push_back(warning);
  }
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

}  // namespace mlxr::server
