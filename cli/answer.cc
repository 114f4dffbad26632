#include "cli/answer.h"

#include <sys/resource.h>

#include <cstdio>
#include <memory>

#include <fmt/core.h>

#include "cli/progress.h"

namespace mlxr::cli {
namespace {

// Prompts that take less than this need no bar: about a second on a slow machine.
constexpr std::int64_t kLongPrompt = 512;

double per_second(std::int64_t tokens, double ms) {
  return ms > 0.0 ? static_cast<double>(tokens) * 1000.0 / ms : 0.0;
}

}  // namespace

Result<GenerateResult> show_answer(Conversation& conversation, const std::string& message, const Interrupt& interrupt,
                                   const AnswerOptions& options, Output& output) {
  std::unique_ptr<Progress> progress;
  Generator::Callbacks callbacks;
  callbacks.cancel = &interrupt.flag();
  callbacks.on_prefill = [&](std::int64_t done, std::int64_t total) {
    if (total < kLongPrompt) return;
    if (!progress) {
      progress = std::make_unique<Progress>(ProgressOptions{
          .label = "Reading", .total = static_cast<std::uint64_t>(total), .unit = ProgressUnit::kTokens});
    }
    progress->update(static_cast<std::uint64_t>(done));
  };
  bool at_line_start = true;
  callbacks.on_text = [&](std::string_view text) {
    progress.reset();
    if (!options.stream) return;
    output.write(text);
    output.flush();
    at_line_start = text.back() == '\n';
  };
  Result<GenerateResult> result = conversation.say(message, callbacks);
  progress.reset();
  if (options.stream && !at_line_start) output.write("\n");
  output.flush();
  return result;
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

void print_figures(const GenerateResult& result, double load_ms) {
  const auto generated = static_cast<std::int64_t>(result.tokens.size());
  const std::int64_t computed = result.prompt_tokens - result.cached_tokens;
  fmt::print(stderr, "\nload                {:8.0f} ms\n", load_ms);
  fmt::print(stderr, "prompt              {:8} tokens, {} from the cache, {:.1f} tokens/s\n", result.prompt_tokens,
             result.cached_tokens, per_second(computed, result.prompt_ms));
  fmt::print(stderr, "first token after   {:8.0f} ms\n", load_ms + result.prompt_ms);
  // The first token belongs to the prompt's time.
  fmt::print(stderr, "generation          {:8} tokens, {:.1f} tokens/s\n", generated,
             per_second(generated > 0 ? generated - 1 : 0, result.generation_ms));
  fmt::print(stderr, "peak memory         {:>8}\n", format_bytes(static_cast<double>(peak_memory_bytes())));
}

nlohmann::ordered_json answer_json(const GenerateResult& result, const std::string& model) {
  const auto generated = static_cast<std::int64_t>(result.tokens.size());
  return {{"model", model},
          {"text", result.text},
          {"finish_reason", finish_reason_name(result.finish_reason)},
          {"usage",
           {{"prompt_tokens", result.prompt_tokens},
            {"cached_tokens", result.cached_tokens},
            {"completion_tokens", generated}}},
          {"timings",
           {{"prompt_ms", result.prompt_ms},
            {"prompt_tokens_per_second", per_second(result.prompt_tokens - result.cached_tokens, result.prompt_ms)},
            {"generation_ms", result.generation_ms},
            {"generation_tokens_per_second", per_second(generated > 0 ? generated - 1 : 0, result.generation_ms)}}},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

}  // namespace mlxr::cli
