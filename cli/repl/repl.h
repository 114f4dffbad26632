#pragma once
// The conversation at a terminal: lines, slash commands, answers as they come. Main thread.

#include "cli/answer.h"
#include "cli/chat.h"
#include "cli/output.h"

namespace mlxr::cli {

struct ReplOptions {
  std::string model = {};  // as the person called it
  double load_ms = 0.0;
  bool verbose = false;
  AnswerOptions answer = {};
};

// Until /bye or Ctrl-D.
Status run_repl(Chat& chat, const ReplOptions& options, Output& output);

}  // namespace mlxr::cli
