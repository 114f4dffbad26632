// Edits of server.yaml that leave everything else in it as it is. A line editor cannot know all of YAML; what it made
// is parsed again and must say what was meant, or nothing is written.

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/core.h>

#include "core/base/atomic_file.h"
#include "daemon/settings/setting_text.h"
#include "daemon/settings/settings_file.h"
#include "daemon/settings/settings_yaml.h"

namespace mlxr {
namespace {

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;  // with their ends
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

// `indented`: comments that are indented count too.
bool blank_or_comment(const std::string& line, bool indented) {
  const std::size_t first = line.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || line.starts_with("...") || line.starts_with("---")) return true;
  return line[first] == '#' && (indented || first == 0);
}

struct LineRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Lines of an entry of the document's mapping, without the comments before the next one. Indented comments below a list
// are taken to belong to it.
LineRange lines_of(const YamlNode& root, std::size_t entry, const std::vector<std::string>& lines) {
  LineRange range;
  range.begin = static_cast<std::size_t>(root.entries[entry].first.line - 1);
  range.end =
      entry + 1 < root.entries.size() ? static_cast<std::size_t>(root.entries[entry + 1].first.line - 1) : lines.size();
  const YamlNode::Kind kind = root.entries[entry].second.kind;
  const bool scalar = kind == YamlNode::Kind::kScalar || kind == YamlNode::Kind::kNull;
  while (range.end > range.begin + 1 && blank_or_comment(lines[range.end - 1], scalar))
    --range.end;
  return range;
}

// Where a comment begins in a line, spaces before it included; npos when there is none. Quotes hide a #.
std::size_t comment_start(const std::string& line, std::size_t from) {
  char quote = '\0';
  for (std::size_t i = from; i < line.size(); ++i) {
    const char c = line[i];
    const char before = i == 0 ? ' ' : line[i - 1];
    if (quote != '\0') {
      if (c == '\\' && quote == '"') ++i;
      if (c == quote) quote = '\0';
    } else if ((c == '"' || c == '\'') && std::string_view(" \t[{,:").find(before) != std::string_view::npos) {
      quote = c;
    } else if (c == '#' && (before == ' ' || before == '\t')) {
      std::size_t start = i;
      while (start > from && (line[start - 1] == ' ' || line[start - 1] == '\t'))
        --start;
      return start;
    }
  }
  return std::string::npos;
}

// A value that set_setting() has taken, as YAML.
Result<std::string> yaml_value(const SettingInfo& info, std::string_view text) {
  std::string out;
  if (info.type == SettingType::kList) {
    TextList items;
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(text, items));
    for (const std::string& item : items)
      out += (out.empty() ? "" : ", ") + yaml_scalar(item);
    return "[" + out + "]";
  }
  if (info.type == SettingType::kWeights) {
    Weights weights;
    MLXR_RETURN_IF_ERROR(setting_text_detail::from_text(text, weights));
    for (const auto& [name, weight] : weights)
      out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", yaml_scalar(name), weight);
    return "{" + out + "}";
  }
  return yaml_scalar(text);
}

// `value` absent: the entry goes.
Result<std::string> edited(const std::string& text, const std::string& path, std::string_view name,
                           const std::optional<std::string>& value) {
  MLXR_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text, path));
  if (root.kind != YamlNode::Kind::kNull && (root.kind != YamlNode::Kind::kMapping || root.flow)) {
    return unsupported(path + ": is not written as one key a line, so it has to be edited by hand");
  }
  std::vector<std::string> lines = split_lines(text);
  const std::string line_end = text.find("\r\n") != std::string::npos ? "\r\n" : "\n";
  const auto found = std::find_if(root.entries.begin(), root.entries.end(),
                                  [&](const auto& entry) { return entry.first.text == name; });
  std::string out;
  if (found == root.entries.end()) {
    if (!value) return text;
    // Behind the last entry, before the end of the document where that is marked.
    std::size_t at = lines.size();
    while (at > 0 && lines[at - 1].starts_with("..."))
      --at;
    for (std::size_t i = 0; i < at; ++i)
      out += lines[i];
    if (!out.empty() && out.back() != '\n') out += line_end;
    out += fmt::format("{}: {}{}", name, *value, line_end);
    for (std::size_t i = at; i < lines.size(); ++i)
      out += lines[i];
    return out;
  }
  const auto& [key, old_value] = *found;
  const LineRange range = lines_of(root, static_cast<std::size_t>(found - root.entries.begin()), lines);
  std::string line;
  if (value) {
    const std::string& first = lines[range.begin];
    const auto column = static_cast<std::size_t>(key.column);
    line = fmt::format("{}{}: {}", first.substr(0, column), name, *value);
    const bool one_line = range.end == range.begin + 1;
    const std::size_t comment =
        one_line ? comment_start(first, std::min(column + key.text.size(), first.size())) : std::string::npos;
    line += comment != std::string::npos ? first.substr(comment) : line_end;
  }
  lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(range.begin),
              lines.begin() + static_cast<std::ptrdiff_t>(range.end));
  if (value) lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(range.begin), line);
  for (const std::string& each : lines)
    out += each;
  return out;
}

// Every setting but `name` is what it was, as far as the old text can be read.
Status check_edit(const std::string& before, const std::string& after, const std::string& path, std::string_view name,
                  const std::string& wanted) {
  MLXR_ASSIGN_OR_RETURN(const Settings now, parse_settings(after, path));
  bool same = setting_text(now, name) == wanted;
  const Result<Settings> old = parse_settings(before, path);
  if (old.ok()) {
    for (const std::string& changed : changed_settings(*old, now))
      same = same && changed == name;
  }
  if (same) return {};
  return unsupported(path + ": is written in a way that cannot be changed here, so it has to be edited by hand");
}

Status write_text(const std::string& path, const std::string& text) {
  // A link stays a link: its target is written.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  const std::string target = error ? path : real.string();
  const std::filesystem::path folder = std::filesystem::path(target).parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return internal(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  return write_file_atomically(target, text);
}

}  // namespace

Status write_setting(const std::string& path, std::string_view name, std::string_view value) {
  const SettingInfo* info = find_setting(name);
  if (info == nullptr) return unknown_setting(name);
  Settings parsed;
  MLXR_RETURN_IF_ERROR(set_setting(parsed, name, value));
  MLXR_ASSIGN_OR_RETURN(const std::optional<std::string> text, read_yaml_file(path));
  const std::string before = text.value_or("");
  MLXR_ASSIGN_OR_RETURN(const std::string written, yaml_value(*info, value));
  MLXR_ASSIGN_OR_RETURN(const std::string after, edited(before, path, name, written));
  MLXR_RETURN_IF_ERROR(check_edit(before, after, path, name, setting_text(parsed, name)));
  return write_text(path, after);
}

Status remove_setting(const std::string& path, std::string_view name) {
  if (find_setting(name) == nullptr) return unknown_setting(name);
  MLXR_ASSIGN_OR_RETURN(const std::optional<std::string> text, read_yaml_file(path));
  if (!text) return {};
  MLXR_ASSIGN_OR_RETURN(const std::string after, edited(*text, path, name, std::nullopt));
  if (after == *text) return {};
  MLXR_RETURN_IF_ERROR(check_edit(*text, after, path, name, setting_text(Settings{}, name)));
  return write_text(path, after);
}

}  // namespace mlxr
