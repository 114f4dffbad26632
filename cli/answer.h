#pragma once
// One answer on its way to the reader: text as it comes, progress of a long prompt, and the figures of --verbose.

#include <string>

#include "cli/chat.h"
#include "cli/interrupt.h"
#include "cli/output.h"

namespace mlxr::cli {

struct AnswerOptions {
  bool stream = true;  // false: collect, for --json
  bool hide_thinking = false;
  bool wrap = true;  // break lines of prose between words, where the output is a terminal
};

// Says `message` and shows the answer, which ends with a line feed. Cancelled by Ctrl-C.
Result<Answer> show_answer(Chat& chat, const std::string& message, const Interrupt& interrupt,
                           const AnswerOptions& options, Output& output);

// Speed, time to first token and peak memory, a line each on standard error.
void print_figures(const Answer& answer, double load_ms);

// The same for programs.
nlohmann::ordered_json answer_json(const Answer& answer, const std::string& model);

// Peak resident memory of this process in bytes.
std::size_t peak_memory_bytes();

}  // namespace mlxr::cli
