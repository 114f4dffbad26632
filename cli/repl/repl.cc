#include "cli/repl/repl.h"

#include <ctime>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/repl/line_editor.h"
#include "cli/repl/saved_chats.h"
#include "cli/times.h"

namespace mlxr::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr const char* kPrompt = ">>> ";
constexpr const char* kContinue = "... ";

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

// "set system Be kind" -> "set", and the rest stays.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text = trimmed(text.substr(word.size()));
  return word;
}

class Repl {
 public:
  Repl(Chat& chat, const ReplOptions& options, Output& output)
      : chat_(chat), options_(options), output_(output), editor_(default_history_path()), shown_(options.answer) {}

  Status run() {
    output_.line(fmt::format("{} (/help for help)", output_.styled(options_.model, Style::kBold)));
    std::string message;
    while (!done_) {
      const LineResult read = read_message(message);
      if (read == LineResult::kEnd) break;
      if (read == LineResult::kInterrupted) {
        interrupt_.take();
        output_.line("\nCtrl-D or /bye leaves.");
        output_.flush();
        continue;
      }
      if (trimmed(message).empty()) continue;
      editor_.remember(message, history_);
      MLXR_RETURN_IF_ERROR(message.front() == '/' ? command(message) : answer(message));
      output_.flush();
    }
    return {};
  }

 private:
  struct Command {
    const char* name;
    const char* arguments;
    const char* help;
    Status (Repl::*run)(std::string_view arguments);
  };
  static std::span<const Command> commands();

  // A line, lines ended by "\", or everything between two """.
  LineResult read_message(std::string& message) {
    message.clear();
    std::string line;
    LineResult read = editor_.read(kPrompt, line);
    if (read != LineResult::kLine) return read;
    if (trimmed(line).starts_with(kQuotes))
      return read_quoted(line.substr(line.find(kQuotes) + kQuotes.size()), message);
    while (line.ends_with('\\')) {
      line.pop_back();
      message += line + "\n";
      read = editor_.read(kContinue, line);
      if (read != LineResult::kLine) return read;
    }
    message += line;
    return read;
  }

  LineResult read_quoted(std::string line, std::string& message) {
    while (true) {
      const std::size_t end = line.find(kQuotes);
      if (end != std::string::npos) {
        message += line.substr(0, end);
        return LineResult::kLine;
      }
      message += line + "\n";
      const LineResult read = editor_.read(kContinue, line);
      if (read != LineResult::kLine) return read;
    }
  }

  // Errors of an answer end the answer, not the session.
  Status answer(const std::string& message) {
    interrupt_.take();
    const Result<Answer> result = show_answer(chat_, message, interrupt_, shown_, output_);
    if (!result.ok()) {
      complain(result.status());
      if (result.status().code() == StatusCode::kResourceExhausted) say("/clear starts anew; --ctx N makes more room.");
      return {};
    }
    for (const std::string& warning : result->warnings)
      say("warning: " + printable(warning));
    if (result->finish_reason == FinishReason::kContextFull)
      say("The context is full: /clear starts anew, --ctx N makes more room.");
    if (result->finish_reason == FinishReason::kCancelled) {
      interrupt_.take();
      say("(stopped)");
    }
    if (verbose_) print_figures(*result, options_.load_ms + result->load_ms);
    output_.line("");
    return {};
  }

  Status command(std::string_view text) {
    text.remove_prefix(1);
    std::string_view name = take_word(text);
    if (name == "?") name = "help";
    if (name == "exit") name = "bye";
    for (const Command& row : commands()) {
      if (name == row.name) return (this->*row.run)(text);
    }
    complain(invalid_argument(fmt::format("no command \"/{}\": /help lists them", printable(name))));
    return {};
  }

  Status help(std::string_view) {
    Table table;
    for (const Command& row : commands()) {
      table.rows.push_back({fmt::format("/{} {}", row.name, row.arguments), row.help});
    }
    table.rows.push_back({"\"\"\"", "begins and ends a message of several lines; a line may also end with \\"});
    table.rows.push_back({"Ctrl-C", "stops an answer"});
    output_.table(table);
    return {};
  }

  Status set(std::string_view arguments) {
    const std::string_view what = take_word(arguments);
    if (what == "parameter") {
      const std::string_view name = take_word(arguments);
      told(chat_.set_parameter(name, arguments));
    } else if (what == "system") {
      chat_.system() = std::string(arguments);
    } else if (what == "format") {
      told(chat_.set_format(std::string(arguments)));
    } else if (what == "noformat") {
      told(chat_.set_format(""));
    } else if (what == "think") {
      told(chat_.set_think(arguments.empty() ? "true" : std::string(arguments)));
    } else if (what == "nothink") {
      told(chat_.set_think("false"));
    } else if (!set_switch(what)) {
      complain(invalid_argument(
          "/set parameter NAME VALUE, system TEXT, format json, noformat, think, nothink, history, nohistory, "
          "wordwrap, nowordwrap, verbose, quiet"));
    }
    return {};
  }

  bool set_switch(std::string_view what) {
    struct Switch {
      std::string_view name;
      bool* value;
      bool on;
    };
    const Switch switches[] = {
        {"verbose", &verbose_, true},    {"quiet", &verbose_, false},      {"history", &history_, true},
        {"nohistory", &history_, false}, {"wordwrap", &shown_.wrap, true}, {"nowordwrap", &shown_.wrap, false},
    };
    for (const Switch& row : switches) {
      if (row.name != what) continue;
      *row.value = row.on;
      return true;
    }
    return false;
  }

  Status show(std::string_view arguments) {
    const std::string_view what = take_word(arguments);
    if (what == "info") {
      show_info();
    } else if (what == "parameters") {
      Table table;
      for (const ParameterText& row : chat_.parameters())
        table.rows.push_back({row.name, row.value, row.help});
      output_.table(table);
    } else if (what == "template" || what == "license" || what == "modelfile") {
      const Result<std::string> text = chat_.text_of_model(what);
      if (text.ok()) output_.line(printable_lines(*text));
      told(text.status());
    } else if (what == "system") {
      const std::string& system = chat_.system();
      output_.line(system.empty() ? "No system message is set." : printable_lines(system));
    } else {
      complain(invalid_argument("/show info, parameters, template, system, license, modelfile"));
    }
    return {};
  }

  Status save(std::string_view arguments) {
    const std::string name(take_word(arguments));
    const Status saved = save_chat(saved_chats_folder(), name, {options_.model, chat_.system(), chat_.messages()});
    told(saved);
    if (saved.ok()) say(fmt::format("Saved as \"{}\": /load {} brings it back.", name, name));
    return {};
  }

  Status load(std::string_view arguments) {
    Result<SavedChat> chat = load_chat(saved_chats_folder(), std::string(take_word(arguments)));
    if (!chat.ok()) {
      complain(chat.status());
      return {};
    }
    say(fmt::format("{} messages{}", chat->messages.size(),
                    chat->model == options_.model ? "" : fmt::format(", said with {}", printable(chat->model))));
    chat_.system() = std::move(chat->system);
    chat_.set_messages(std::move(chat->messages));
    return {};
  }

  Status list(std::string_view) {
    Table table;
    for (const SavedChatEntry& entry : list_chats(saved_chats_folder()))
      table.rows.push_back({printable(entry.name), relative_time(entry.modified, std::time(nullptr))});
    if (table.rows.empty()) say("No conversation is saved: /save NAME does that.");
    output_.table(table);
    return {};
  }

  Status clear(std::string_view) {
    chat_.clear();
    say("The conversation is forgotten.");
    return {};
  }

  Status bye(std::string_view) {
    done_ = true;
    return {};
  }

  void show_info() {
    const auto rows = chat_.info();
    Table table;
    if (rows.ok()) {
      for (const auto& [name, value] : *rows)
        table.rows.push_back({name, printable(value)});
    }
    output_.table(table);
    told(rows.status());
  }

  // A template has lines; nothing else in it may drive the terminal.
  static std::string printable_lines(std::string_view text) {
    std::string out;
    while (true) {
      const std::size_t end = text.find('\n');
      out += printable(text.substr(0, end));
      if (end == std::string_view::npos) return out;
      out += '\n';
      text.remove_prefix(end + 1);
    }
  }

  void say(const std::string& text) { output_.line(output_.styled(text, Style::kDim)); }
  void told(const Status& status) {
    if (!status.ok()) complain(status);
  }
  void complain(const Status& status) { output_.line(output_.styled(status.message(), Style::kRed)); }

  Chat& chat_;
  const ReplOptions& options_;
  Output& output_;
  LineEditor editor_;
  Interrupt interrupt_;
  AnswerOptions shown_;
  bool verbose_ = options_.verbose;
  bool history_ = true;
  bool done_ = false;
};

std::span<const Repl::Command> Repl::commands() {
  static constexpr Command kCommands[] = {
      {"help", "", "this list (also /?)", &Repl::help},
      {"set", "parameter NAME VALUE", "change sampling; also: system, format, think, wordwrap, history, verbose",
       &Repl::set},
      {"show", "info|parameters|template|system", "what is loaded and set; also: license, modelfile", &Repl::show},
      {"clear", "", "forget the conversation", &Repl::clear},
      {"save", "NAME", "keep the conversation", &Repl::save},
      {"load", "NAME", "go on with one that was kept", &Repl::load},
      {"list", "", "conversations that were kept", &Repl::list},
      {"bye", "", "leave (also /exit, Ctrl-D)", &Repl::bye},
  };
  return kCommands;
}

}  // namespace

Status run_repl(Chat& chat, const ReplOptions& options, Output& output) {
  return Repl(chat, options, output).run();
}

}  // namespace mlxr::cli
