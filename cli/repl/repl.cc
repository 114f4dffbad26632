#include "cli/repl/repl.h"

#include <fmt/core.h>

#include "cli/interrupt.h"
#include "cli/repl/line_editor.h"
#include "cli/repl/settings.h"

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
  Repl(Conversation& conversation, const ReplOptions& options, Output& output)
      : conversation_(conversation), options_(options), output_(output), editor_(default_history_path()) {}

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
      editor_.remember(message);
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
    const Result<GenerateResult> result =
        show_answer(conversation_, message, interrupt_, {.verbose = verbose_}, output_);
    if (!result.ok()) {
      complain(result.status());
      if (result.status().code() == StatusCode::kResourceExhausted) say("/clear starts anew; --ctx N makes more room.");
      return {};
    }
    if (result->finish_reason == FinishReason::kContextFull) {
      say(fmt::format("The context of {} tokens is full: /clear starts anew, --ctx N makes more room.",
                      conversation_.model().context()));
    }
    if (result->finish_reason == FinishReason::kCancelled) {
      interrupt_.take();
      say("(stopped)");
    }
    if (verbose_) print_figures(*result, options_.load_ms);
    output_.line("");
    return {};
  }

  Status command(std::string_view text) {
    text.remove_prefix(1);
    const std::string_view name = take_word(text);
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
      const Status status = set_parameter(conversation_.options().generate, name, arguments);
      if (!status.ok()) complain(status);
    } else if (what == "system") {
      conversation_.options().system = std::string(arguments);
    } else if (what == "verbose") {
      verbose_ = true;
    } else if (what == "quiet") {
      verbose_ = false;
    } else {
      complain(invalid_argument("/set parameter NAME VALUE, /set system TEXT, /set verbose, /set quiet"));
    }
    return {};
  }

  Status show(std::string_view arguments) {
    const std::string_view what = take_word(arguments);
    if (what == "info") {
      show_info();
    } else if (what == "parameters") {
      Table table;
      for (const ParameterText& row : parameter_texts(conversation_.options().generate)) {
        table.rows.push_back({row.name, row.value, row.help});
      }
      output_.table(table);
    } else if (what == "template") {
      const ChatPrompt* prompt = conversation_.model().chat_prompt();
      output_.line(prompt == nullptr ? "This model has no chat template." : printable_lines(prompt->source()));
    } else if (what == "system") {
      const std::string& system = conversation_.options().system;
      output_.line(system.empty() ? "No system message is set." : system);
    } else {
      complain(invalid_argument("/show info, /show parameters, /show template, /show system"));
    }
    return {};
  }

  Status clear(std::string_view) {
    conversation_.clear();
    say("The conversation is forgotten.");
    return {};
  }

  Status bye(std::string_view) {
    done_ = true;
    return {};
  }

  void show_info() {
    LoadedModel& model = conversation_.model();
    const ModelConfig& config = model.model().config();
    const Table table{
        .header = {},
        .align = {},
        .rows = {{"file", model.path()},
                 {"architecture", config.architecture},
                 {"layers", std::to_string(config.num_layers)},
                 {"hidden", std::to_string(config.hidden_size)},
                 {"vocabulary", std::to_string(config.vocab_size)},
                 {"weights", format_bytes(static_cast<double>(model.weight_bytes()))},
                 {"context", fmt::format("{} of {} tokens", model.context(), config.context_length)},
                 {"KV cache", fmt::format("{} as {}", format_bytes(static_cast<double>(model.kv_layout().bytes())),
                                          kv_type_info(model.kv_layout().type).name)},
                 {"backend", model.backend().description()}}};
    output_.table(table);
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
  void complain(const Status& status) { output_.line(output_.styled(status.message(), Style::kRed)); }

  Conversation& conversation_;
  const ReplOptions& options_;
  Output& output_;
  LineEditor editor_;
  Interrupt interrupt_;
  bool verbose_ = options_.verbose;
  bool done_ = false;
};

std::span<const Repl::Command> Repl::commands() {
  static constexpr Command kCommands[] = {
      {"help", "", "this list", &Repl::help},
      {"set", "parameter NAME VALUE", "change sampling; also: system TEXT, verbose, quiet", &Repl::set},
      {"show", "info|parameters|template|system", "what is loaded and set", &Repl::show},
      {"clear", "", "forget the conversation", &Repl::clear},
      {"bye", "", "leave (also Ctrl-D)", &Repl::bye},
  };
  return kCommands;
}

}  // namespace

Status run_repl(Conversation& conversation, const ReplOptions& options, Output& output) {
  return Repl(conversation, options, output).run();
}

}  // namespace mlxr::cli
