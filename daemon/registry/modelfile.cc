#include "daemon/registry/modelfile.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "core/base/utf8.h"
#include "daemon/registry/model_parameters.h"
#include "daemon/registry/visible_text.h"

namespace mlxr {
namespace {

constexpr std::string_view kTripleQuote = "\"\"\"";
constexpr std::size_t kMaxShown = 40;
constexpr std::size_t kMaxLines = 100000;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

bool is_newline(char c) {
  return c == '\n' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// --- encodings
// ---------------------------------------------------------------------------------------------------------

Result<std::string> from_utf16(std::string_view bytes, bool big_endian) {
  if (bytes.size() % 2 != 0) return invalid_argument("the UTF-16 text ends inside a character");
  const auto unit = [&](std::size_t i) {
    const auto first = static_cast<unsigned char>(bytes[i]);
    const auto second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<char32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    char32_t code = unit(i);
    if (code >= 0xD800 && code < 0xDC00 && i + 2 < bytes.size()) {
      const char32_t low = unit(i + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        i += 2;
      }
    }
    append_utf8(text, code);  // a lone surrogate becomes U+FFFD
  }
  return text;
}

Result<std::string> to_utf8(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xFE")) return from_utf16(bytes.substr(2), false);
  if (bytes.starts_with("\xFE\xFF")) return from_utf16(bytes.substr(2), true);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (!is_valid_utf8(bytes)) return invalid_argument("the file is neither UTF-8 nor UTF-16 with a byte order mark");
  return std::string(bytes);
}

// --- commands
// ----------------------------------------------------------------------------------------------------------

// The text inside of quotes, or the text itself; nothing while the closing quote is missing.
std::optional<std::string_view> unquoted(std::string_view text) {
  for (const std::string_view quote : {kTripleQuote, kTripleQuote.substr(0, 1)}) {
    if (!text.starts_with(quote)) continue;
    if (text.size() < 2 * quote.size() || !text.ends_with(quote)) return std::nullopt;
    return text.substr(quote.size(), text.size() - 2 * quote.size());
  }
  return text;
}

// Goes through a text, counting lines.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t line() const { return line_; }
  bool at_end() const { return at_ == text_.size(); }
  void skip_space_and_comments() {
    while (!at_end()) {
      if (text_[at_] == '#') {
        while (!at_end() && !is_newline(text_[at_]))
          ++at_;
      } else if (is_space(text_[at_])) {
        advance();
      } else {
        return;
      }
    }
  }
  // Up to a space, which is passed over when it is not the end of the line.
  std::string_view word() {
    const std::size_t begin = at_;
    while (!at_end() && !is_space(text_[at_]))
      ++at_;
    const std::string_view found = text_.substr(begin, at_ - begin);
    skip_blanks();
    return found;
  }
  void skip_blanks() {
    while (!at_end() && is_space(text_[at_]) && !is_newline(text_[at_]))
      ++at_;
  }
  // To the end of the line, or of the line where the quote is closed; nothing when it is not.
  std::optional<std::string> value() {
    const std::size_t begin = at_;
    for (std::size_t line_begin = begin;;) {
      while (!at_end() && !is_newline(text_[at_]))
        ++at_;
      // Nothing is closed on an empty line; without this, a text of empty lines would take quadratic time.
      const bool worth_a_look = line_begin == begin || !trimmed(text_.substr(line_begin, at_ - line_begin)).empty();
      if (worth_a_look) {
        if (const auto found = unquoted(trimmed(text_.substr(begin, at_ - begin)))) return std::string(*found);
      }
      if (at_end()) return std::nullopt;
      advance();
      line_begin = at_;
    }
  }

 private:
  void advance() {
    if (text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_ + 1, 1) != "\n")) ++line_;
    ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

Status take_parameter(Modelfile& file, std::string_view name, std::string value) {
  return add_parameter(file.parameters, name, value);
}

Status take_message(Modelfile& file, std::string_view role, std::string value) {
  const std::string name = lower_case(role);
  if (name != "system" && name != "user" && name != "assistant") {
    return invalid_argument("message role must be one of \"system\", \"user\", or \"assistant\"");
  }
  file.messages.push_back({name, std::move(value)});
  return {};
}

struct Command {
  const char* name;
  // `key` is the word before the value of the two commands that have one.
  Status (*take)(Modelfile& file, std::string_view key, std::string value);
  bool has_key = false;
};

template <auto Member>
Status set_text(Modelfile& file, std::string_view, std::string value) {
  file.*Member = std::move(value);
  return {};
}

template <auto Member>
Status add_text(Modelfile& file, std::string_view, std::string value) {
  (file.*Member).push_back(std::move(value));
  return {};
}

constexpr std::array<Command, 11> kCommands = {{
    {"from", add_text<&Modelfile::from>},
    {"license", add_text<&Modelfile::licenses>},
    {"template", set_text<&Modelfile::template_text>},
    {"system", set_text<&Modelfile::system>},
    {"adapter", add_text<&Modelfile::adapters>},
    {"draft", add_text<&Modelfile::drafts>},
    {"renderer", set_text<&Modelfile::renderer>},
    {"parser", set_text<&Modelfile::parser>},
    {"requires", set_text<&Modelfile::requires_version>},
    {"parameter", take_parameter, true},
    {"message", take_message, true},
}};

std::string command_names() {
  std::string names;
  for (const Command& command : kCommands)
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", command.name);
  return names;
}

Status at_line(std::size_t line, const std::string& what) {
  return invalid_argument(fmt::format("line {}: {}", line, what));
}

Status take_command(Scanner& scanner, Modelfile& file) {
  const std::size_t line = scanner.line();
  const std::string_view word = scanner.word();
  const std::string name = lower_case(word);
  const auto* command =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& c) { return name == c.name; });
  if (command == kCommands.end()) {
    return at_line(
        line, fmt::format("command must be one of {}, not \"{}\"", command_names(), visible_text(word, kMaxShown)));
  }
  std::string_view key;
  if (command->has_key) key = scanner.word();
  auto value = scanner.value();
  if (!value) return at_line(line, fmt::format("the quote that opens here is not closed"));
  const bool may_be_empty = name == "system" || name == "template" || name == "message" || name == "license";
  if ((command->has_key && key.empty()) || (value->empty() && !may_be_empty)) {
    return at_line(line, fmt::format("{} has no value", visible_text(word, kMaxShown)));
  }
  const Status taken = command->take(file, key, std::move(*value));
  return taken.ok() ? taken : at_line(line, taken.message());
}

// --- writing
// -----------------------------------------------------------------------------------------------------------

// Whether a value that is written so is read as `value`.
bool reads_as(std::string_view written, std::string_view value) {
  Scanner scanner(written);
  const auto read = scanner.value();
  return read && *read == value && scanner.at_end();
}

std::string quoted(const std::string& value, bool prefer_plain) {
  const std::string candidates[] = {prefer_plain ? value : "", fmt::format("\"\"\"{}\"\"\"", value),
                                    fmt::format("\"{}\"", value), value};
  for (const std::string& candidate : candidates) {
    if (!candidate.empty() && reads_as(candidate, value)) return candidate;
  }
  return candidates[1];
}

void write_parameters(const ModelParameters& parameters, std::string& out) {
  for (const auto& [name, value] : parameters) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& text : *texts)
        out += fmt::format("PARAMETER {} {}\n", name,
                           reads_as("\"" + text + "\"", text) ? "\"" + text + "\"" : quoted(text, false));
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      out += fmt::format("PARAMETER {} {}\n", name, quoted(*text, true));
    } else {
      out += fmt::format("PARAMETER {} {}\n", name, parameter_text(value));
    }
  }
}

// All but FROM.
std::string write_commands(const Modelfile& file) {
  std::string out;
  for (const std::string& adapter : file.adapters)
    out += "ADAPTER " + quoted(adapter, true) + "\n";
  for (const std::string& draft : file.drafts)
    out += "DRAFT " + quoted(draft, true) + "\n";
  if (file.template_text) out += "TEMPLATE " + quoted(*file.template_text, false) + "\n";
  if (file.system) out += "SYSTEM " + quoted(*file.system, false) + "\n";
  write_parameters(file.parameters, out);
  for (const ModelMessage& message : file.messages)
    out += fmt::format("MESSAGE {} {}\n", message.role, quoted(message.content, true));
  const std::pair<const char*, const std::string*> words[] = {
      {"RENDERER", &file.renderer}, {"PARSER", &file.parser}, {"REQUIRES", &file.requires_version}};
  for (const auto& [name, value] : words) {
    if (!value->empty()) out += fmt::format("{} {}\n", name, quoted(*value, true));
  }
  for (const std::string& license : file.licenses)
    out += "LICENSE " + quoted(license, false) + "\n";
  return out;
}

}  // namespace

Result<Modelfile> parse_modelfile(std::string_view bytes) {
  if (bytes.size() > kMaxModelfileBytes) return invalid_argument("the Modelfile is larger than 16 MiB");
  MLXR_ASSIGN_OR_RETURN(const std::string text, to_utf8(bytes));
  Modelfile file;
  Scanner scanner(text);
  std::size_t num_commands = 0;
  for (;;) {
    scanner.skip_space_and_comments();
    if (scanner.at_end()) break;
    if (++num_commands > kMaxLines) return at_line(scanner.line(), "too many commands");
    MLXR_RETURN_IF_ERROR(take_command(scanner, file));
  }
  if (file.from.empty()) return invalid_argument("no FROM line");
  return file;
}

std::string write_modelfile(const Modelfile& file) {
  std::string out;
  for (const std::string& from : file.from)
    out += "FROM " + quoted(from, true) + "\n";
  return out + write_commands(file);
}

std::string modelfile_of(const ModelRecord& record) {
  Modelfile file;
  file.from.push_back(record.path);
  file.from.insert(file.from.end(), record.projector_paths.begin(), record.projector_paths.end());
  file.adapters = record.adapter_paths;
  if (!record.draft_path.empty()) file.drafts.push_back(record.draft_path);
  for (const std::string* text : {&record.chat_template, &record.go_template, &record.own_template}) {
    if (file.template_text || text->empty()) continue;
    file.template_text = *text;
  }
  if (!record.system.empty()) file.system = record.system;
  file.licenses = record.licenses;
  file.parameters = record.parameters;
  file.messages = record.messages;
  file.renderer = record.renderer;
  file.parser = record.parser;
  file.requires_version = record.requires_version;
  return fmt::format("# Modelfile of \"{}\"\n# To build on it by name, put this in the place of FROM:\n# FROM {}\n\n{}",
                     record.name, record.name, write_modelfile(file));
}

}  // namespace mlxr
