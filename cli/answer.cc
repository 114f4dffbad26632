#include "cli/answer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/progress.h"
#include "cli/word_wrap.h"

namespace mlxr::cli {
namespace {

// Prompts that take less than this need no bar: about a second on a slow machine.
constexpr std::int64_t kLongPrompt = 512;

double per_second(std::int64_t tokens, double ms) {
  return ms > 0.0 ? static_cast<double>(tokens) * 1000.0 / ms : 0.0;
}

}  // namespace

Result<Answer> show_answer(Chat& chat, const std::string& message, const Interrupt& interrupt,
                           const AnswerOptions& options, Output& output) {
  std::unique_ptr<Progress> progress;
  AnswerCallbacks callbacks;
  callbacks.cancel = &interrupt.flag();
  callbacks.on_prefill = [&](std::int64_t done, std::int64_t total) {
    if (total < kLongPrompt) return;
    if (!progress) {
      progress = std::make_unique<Progress>(ProgressOptions{
          .label = "Reading", .total = static_cast<std::uint64_t>(total), .unit = ProgressUnit::kTokens});
    }
    progress->update(static_cast<std::uint64_t>(done));
  };
  callbacks.on_load = [&](double fraction) {
    constexpr double kParts = 1000.0;
    if (!progress) {
      progress = std::make_unique<Progress>(ProgressOptions{
          .label = "Loading", .total = static_cast<std::uint64_t>(kParts), .unit = ProgressUnit::kCount});
    }
    progress->update(static_cast<std::uint64_t>(fraction * kParts));
  };
  WordWrap wrap(options.wrap ? terminal_columns(STDOUT_FILENO) : 0);
  bool at_line_start = true;
  bool thinking = false;
  const auto write = [&](std::string_view text, Style style) {
    progress.reset();
    if (!options.stream || text.empty()) return;
    const std::string wrapped = wrap.add(text);
    output.write(style == Style::kPlain ? wrapped : output.styled(wrapped, style));
    output.flush();
    at_line_start = text.back() == '\n';
  };
  callbacks.on_reasoning = [&](std::string_view text) {
    if (options.hide_thinking) return;
    thinking = true;
    write(text, Style::kDim);
  };
  callbacks.on_text = [&](std::string_view text) {
    if (thinking) write(at_line_start ? "\n" : "\n\n", Style::kPlain);
    thinking = false;
    write(text, Style::kPlain);
  };
  Result<Answer> answer = chat.say(message, callbacks);
  progress.reset();
  if (options.stream && !at_line_start) output.write("\n");
  output.flush();
  return answer;
}

std::size_t peak_memory_bytes() {
  struct rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return static_cast<std::size_t>(usage.ru_maxrss);
#else
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
#endif
}

void print_figures(const Answer& answer, double load_ms) {
  const std::int64_t generated = answer.generated_tokens;
  const std::int64_t computed = answer.prompt_tokens - answer.cached_tokens;
  fmt::print(stderr, "\nload                {:8.0f} ms\n", load_ms);
  fmt::print(stderr, "prompt              {:8} tokens, {} from the cache, {:.1f} tokens/s\n", answer.prompt_tokens,
             answer.cached_tokens, per_second(computed, answer.prompt_ms));
  fmt::print(stderr, "first token after   {:8.0f} ms\n", load_ms + answer.prompt_ms);
  // The first token belongs to the prompt's time.
  fmt::print(stderr, "generation          {:8} tokens, {:.1f} tokens/s\n", generated,
             per_second(generated > 0 ? generated - 1 : 0, answer.generation_ms));
  fmt::print(stderr, "peak memory         {:>8}\n", format_bytes(static_cast<double>(peak_memory_bytes())));
}

nlohmann::ordered_json answer_json(const Answer& answer, const std::string& model) {
  const std::int64_t generated = answer.generated_tokens;
  nlohmann::ordered_json json = {
      {"model", model},
      {"text", answer.text},
      {"finish_reason", finish_reason_name(answer.finish_reason)},
      {"usage",
       {{"prompt_tokens", answer.prompt_tokens},
        {"cached_tokens", answer.cached_tokens},
        {"completion_tokens", generated}}},
      {"timings",
       {{"prompt_ms", answer.prompt_ms},
        {"prompt_tokens_per_second", per_second(answer.prompt_tokens - answer.cached_tokens, answer.prompt_ms)},
        {"generation_ms", answer.generation_ms},
        {"generation_tokens_per_second", per_second(generated > 0 ? generated - 1 : 0, answer.generation_ms)}}},
      {"peak_memory_bytes", peak_memory_bytes()}};
  if (!answer.reasoning.empty()) json["reasoning"] = answer.reasoning;
  if (!answer.warnings.empty()) json["warnings"] = answer.warnings;
  return json;
}

}  // namespace mlxr::cli
