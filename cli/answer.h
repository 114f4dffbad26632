#pragma once
// One answer on its way to the reader: text as it comes, progress of a long prompt, and the figures of --verbose.

#include <string>

#include "cli/conversation.h"
#include "cli/interrupt.h"
#include "cli/output.h"

namespace mlxr::cli {

struct AnswerOptions {
  bool stream = true;  // false: collect, for --json
  bool verbose = false;
};

// Says `message` and shows the answer, which ends with a line feed. Cancelled by Ctrl-C.
Result<GenerateResult> show_answer(Conversation& conversation, const std::string& message, const Interrupt& interrupt,
                                   const AnswerOptions& options, Output& output);

// Speed, time to first token and peak memory, a line each on standard error.
void print_figures(const GenerateResult& result, double load_ms);

// The same for programs.
nlohmann::ordered_json answer_json(const GenerateResult& result, const std::string& model);

// Peak resident memory of this process in bytes.
std::size_t peak_memory_bytes();

}  // namespace mlxr::cli
