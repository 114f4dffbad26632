// Pages that are made of the rows.

#include <fmt/core.h>

#include "daemon/settings/settings.h"

namespace mlxr {
namespace {

std::string shown_default(const SettingInfo& info) {
  const std::string text = setting_text(Settings{}, info.name);
  return text.empty() ? "" : "`" + text + "`";
}

std::string values_of(const SettingInfo& info) {
  const std::string allowed = info.allowed();
  if (info.check.form == SettingCheck::Form::kChoices) return allowed.substr(std::string("one of ").size());
  std::string out(info.type_name());
  if (!allowed.empty()) out += ", " + allowed;
  if (allowed.empty() && !info.unit.empty()) out += fmt::format(", {}", info.unit);
  return out;
}

// A value as it stands in server.yaml.
std::string yaml_default(const SettingInfo& info) {
  const std::string text = setting_text(Settings{}, info.name);
  if (info.type == SettingType::kList) return "[" + text + "]";
  if (info.type == SettingType::kWeights) return "{" + text + "}";
  return text.empty() ? "\"\"" : text;
}

}  // namespace

std::string settings_markdown() {
  std::string out =
      "# Settings\n\n"
      "Made from `daemon/settings/settings.def` by `MLXR_WRITE_DOCS=1 settings_test`; a test compares.\n\n"
      "A setting is a key of `server.yaml` (`mlxr config path` says where that is), a variable of the environment\n"
      "(`MLXR_` and the key in capitals) and a flag of the daemon (`--` and the key, with dashes). A flag wins over "
      "the\n"
      "environment, that over the file. `mlxr config list` shows what is in force and where it comes from,\n"
      "`mlxr config set KEY VALUE` changes the file and keeps its comments. SIGHUP makes the daemon read it again.\n\n"
      "Bytes are written `8GiB`, `512MB` or `4096`; durations `30s`, `5m`, `1h30m`, `250ms`, a bare number is "
      "seconds;\n"
      "lists `[a, b]` or, in the environment and in flags, `a,b`; weights `{a: 1, b: 0.5}`.\n";
  std::string_view group;
  for (const SettingInfo& info : setting_infos()) {
    if (info.group != group) {
      group = info.group;
      out += fmt::format("\n## {}\n\n| key | default | values | what | applies |\n|---|---|---|---|---|\n", group);
    }
    std::string values = values_of(info);
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, shown_default(info), values, info.help,
                       info.applies == SettingApplies::kAtOnce ? "at once" : "restart");
  }
  return out;
}

std::string settings_example() {
  std::string out =
      "# Settings of the daemon: every key with its default. docs/settings.md says more.\n"
      "# A copy belongs where `mlxr config path` says; take the # off what is to be different.\n";
  std::string_view group;
  for (const SettingInfo& info : setting_infos()) {
    if (info.group != group) {
      group = info.group;
      out += fmt::format("\n# --- {}\n", group);
    }
    out += fmt::format("\n# {}\n#{}: {}\n", info.help, info.name, yaml_default(info));
  }
  return out;
}

}  // namespace mlxr
