#pragma once
// One line at a time from a terminal, with editing and a history that outlives the program. Main thread only.

#include <memory>
#include <string>

namespace mlxr::cli {

enum class LineResult { kLine, kEnd, kInterrupted };

class LineEditor {
 public:
  // `history_path`: empty, or a file that only its owner may read; made with its folders when absent.
  explicit LineEditor(std::string history_path);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Without the line feed. kEnd: Ctrl-D; kInterrupted: Ctrl-C, what was typed is dropped.
  LineResult read(const std::string& prompt, std::string& line);
  // What the arrow keys bring back and, with `keep`, the next program finds. Line feeds become spaces.
  void remember(const std::string& text, bool keep);

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;
};

// ~/.local/state/mlxrunner/history, or its place on this system; empty when there is no home.
std::string default_history_path();

}  // namespace mlxr::cli
