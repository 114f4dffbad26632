#include "cli/repl/line_editor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <histedit.h>

namespace mlxr::cli {
namespace {

constexpr int kHistorySize = 1000;

}  // namespace

struct LineEditor::Editor {
  EditLine* line = nullptr;
  History* history = nullptr;
  std::string history_path;
  std::string prompt;

  static char* prompt_of(EditLine* line) {
    Editor* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }
};

LineEditor::LineEditor(std::string history_path) : editor_(std::make_unique<Editor>()) {
  // The editor counts columns by the locale: text is UTF-8 also where none is set.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (locale == nullptr || std::string(locale) == "C") std::setlocale(LC_CTYPE, "C.UTF-8");
  editor_->history_path = std::move(history_path);
  editor_->history = history_init();
  HistEvent event;
  history(editor_->history, &event, H_SETSIZE, kHistorySize);
  history(editor_->history, &event, H_SETUNIQUE, 1);
  if (!editor_->history_path.empty()) history(editor_->history, &event, H_LOAD, editor_->history_path.c_str());
  editor_->line = el_init("mlxr", stdin, stdout, stderr);
  el_set(editor_->line, EL_CLIENTDATA, editor_.get());
  el_set(editor_->line, EL_PROMPT, &Editor::prompt_of);
  el_set(editor_->line, EL_EDITOR, "emacs");
  el_set(editor_->line, EL_HIST, history, editor_->history);
  el_set(editor_->line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
}

LineEditor::~LineEditor() {
  el_end(editor_->line);
  history_end(editor_->history);
}

LineResult LineEditor::read(const std::string& prompt, std::string& line) {
  editor_->prompt = prompt;
  int count = 0;
  errno = 0;
  const char* text = el_gets(editor_->line, &count);
  if (text == nullptr || count <= 0) {
    const bool interrupted = count < 0 && errno == EINTR;
    if (interrupted) el_reset(editor_->line);
    return interrupted ? LineResult::kInterrupted : LineResult::kEnd;
  }
  line.assign(text, static_cast<std::size_t>(count));
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
    line.pop_back();
  return LineResult::kLine;
}

void LineEditor::remember(const std::string& text, bool keep) {
  std::string flat = text;
  for (char& c : flat) {
    if (c == '\n') c = ' ';
  }
  HistEvent event;
  history(editor_->history, &event, H_ENTER, flat.c_str());
  if (editor_->history_path.empty() || !keep) return;
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(editor_->history_path).parent_path(), error);
  // The file exists with its mode before anything is in it.
  const int fd = ::open(editor_->history_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return;
  ::fchmod(fd, S_IRUSR | S_IWUSR);
  ::close(fd);
  history(editor_->history, &event, H_SAVE, editor_->history_path.c_str());
}

std::string default_history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state != '\0') return std::string(state) + "/mlxrunner/history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
#ifdef __APPLE__
  return std::string(home) + "/Library/Application Support/MLXRunner/history";
#else
  return std::string(home) + "/.local/state/mlxrunner/history";
#endif
}

}  // namespace mlxr::cli
