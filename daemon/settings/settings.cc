#include "daemon/settings/settings.h"

#include <cctype>
#include <cstdlib>
#include <type_traits>

#include <fmt/core.h>

#include "core/base/check.h"
#include "core/base/nearest_name.h"
#include "daemon/settings/setting_text.h"

namespace mlxr {
namespace {

using setting_text_detail::from_text;
using setting_text_detail::to_text;

template <class T>
constexpr SettingType type_of() {
  if constexpr (std::is_same_v<T, bool>) return SettingType::kBool;
  if constexpr (std::is_same_v<T, std::int64_t>) return SettingType::kInteger;
  if constexpr (std::is_same_v<T, double>) return SettingType::kNumber;
  if constexpr (std::is_same_v<T, std::string>) return SettingType::kText;
  if constexpr (std::is_same_v<T, TextList>) return SettingType::kList;
  if constexpr (std::is_same_v<T, Bytes>) return SettingType::kBytes;
  if constexpr (std::is_same_v<T, Duration>) return SettingType::kDuration;
  if constexpr (std::is_same_v<T, Weights>) return SettingType::kWeights;
}

// The words of the rows.
using Form = SettingCheck::Form;
constexpr SettingCheck anything() {
  return {};
}
constexpr SettingCheck between(double least, double most) {
  return {.form = Form::kRange, .least = least, .most = most};
}
constexpr SettingCheck at_least(double least) {
  return between(least, 1e18);
}
constexpr SettingCheck one_of(std::string_view choices) {
  return {.form = Form::kChoices, .choices = choices};
}
constexpr SettingCheck or_forever() {
  return {.form = Form::kForever};
}
constexpr SettingCheck is_path() {
  return {.form = Form::kPath};
}
constexpr SettingCheck is_address() {
  return {.form = Form::kAddress};
}
constexpr SettingCheck is_url() {
  return {.form = Form::kUrl};
}
constexpr SettingApplies kAtOnce = SettingApplies::kAtOnce;
constexpr SettingApplies kRestart = SettingApplies::kRestart;

struct Row {
  SettingInfo info;
  std::string (*text)(const Settings& settings);
  Status (*set)(Settings& settings, std::string_view text, const SettingInfo& info);
};

Status out_of_range(const SettingInfo& info, const std::string& text) {
  return invalid_argument(fmt::format("{} is not {}", text, info.allowed()));
}

Status check_range(const SettingInfo& info, double value, const std::string& text) {
  if (info.check.form != Form::kRange || (value >= info.check.least && value <= info.check.most)) return {};
  return out_of_range(info, text);
}

Status check_choice(const SettingInfo& info, const std::string& text) {
  if (info.check.form != Form::kChoices) return {};
  std::string_view rest = info.check.choices;
  while (!rest.empty()) {
    const std::size_t bar = std::min(rest.find('|'), rest.size());
    if (rest.substr(0, bar) == text) return {};
    rest.remove_prefix(std::min(bar + 1, rest.size()));
  }
  return invalid_argument(fmt::format("\"{}\" is not {}", text.substr(0, 60), info.allowed()));
}

Status check_value(const SettingInfo& /*info*/, bool& /*value*/) {
  return {};
}
Status check_value(const SettingInfo& info, std::int64_t& value) {
  MLXR_RETURN_IF_ERROR(check_choice(info, to_text(value)));
  return check_range(info, static_cast<double>(value), to_text(value));
}
Status check_value(const SettingInfo& info, double& value) {
  return check_range(info, value, to_text(value));
}
Status check_value(const SettingInfo& info, Bytes& value) {
  return check_range(info, static_cast<double>(value), to_text(value));
}
Status check_value(const SettingInfo& info, Duration& value) {
  if (info.check.form != Form::kForever && value < Duration(0)) return invalid_argument("it may not be for ever");
  return check_range(info, static_cast<double>(value.count()), to_text(value));
}
Status check_value(const SettingInfo& /*info*/, TextList& /*value*/) {
  return {};
}
Status check_value(const SettingInfo& info, Weights& value) {
  for (const auto& [name, weight] : value)
    MLXR_RETURN_IF_ERROR(check_range(info, weight, fmt::format("weight {} of {}", weight, name)));
  return {};
}
Status check_value(const SettingInfo& info, std::string& value) {
  MLXR_RETURN_IF_ERROR(check_choice(info, value));
  if (info.check.form == Form::kAddress) {
    const auto parsed = parse_listen_address(value);
    if (!parsed.ok()) return parsed.status();
  }
  if (info.check.form == Form::kUrl && !value.empty() && !value.starts_with("http://") &&
      !value.starts_with("https://")) {
    return invalid_argument(fmt::format("\"{}\" does not begin with http:// or https://", value.substr(0, 60)));
  }
  if (info.check.form == Form::kPath && (value == "~" || value.starts_with("~/"))) {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') return invalid_argument("~ stands for HOME, which is not set");
    value.replace(0, 1, home);
  }
  return {};
}

template <class T>
Status set_value(T& target, std::string_view text, const SettingInfo& info) {
  T value{};
  MLXR_RETURN_IF_ERROR(from_text(text, value));
  MLXR_RETURN_IF_ERROR(check_value(info, value));
  target = std::move(value);
  return {};
}

std::vector<Row> make_rows() {
  std::vector<Row> rows;
  std::string_view group;
#define MLXR_SETTING_GROUP(title) group = title;
#define MLXR_SETTING(type, name, default_value, unit, applies, check, help)                \
  rows.push_back({{#name, group, type_of<type>(), unit, applies, check, help},             \
                  [](const Settings& settings) { return to_text(settings.name); },         \
                  [](Settings& settings, std::string_view text, const SettingInfo& info) { \
                    return set_value(settings.name, text, info);                           \
                  }});
#include "daemon/settings/settings.def"
#undef MLXR_SETTING
#undef MLXR_SETTING_GROUP
  return rows;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = make_rows();
  return kRows;
}

const Row* find_row(std::string_view name) {
  for (const Row& row : rows()) {
    if (row.info.name == name) return &row;
  }
  return nullptr;
}

std::vector<SettingInfo> make_infos() {
  std::vector<SettingInfo> infos;
  for (const Row& row : rows())
    infos.push_back(row.info);
  return infos;
}

}  // namespace

std::string SettingInfo::environment() const {
  std::string out = "MLXR_";
  for (const char c : name)
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::string SettingInfo::flag() const {
  std::string out = "--";
  for (const char c : name)
    out += c == '_' ? '-' : c;
  return out;
}

std::string_view SettingInfo::type_name() const {
  switch (type) {
    case SettingType::kBool:
      return "true or false";
    case SettingType::kInteger:
      return "whole number";
    case SettingType::kNumber:
      return "number";
    case SettingType::kText:
      return "text";
    case SettingType::kList:
      return "list";
    case SettingType::kBytes:
      return "bytes";
    case SettingType::kDuration:
      return "duration";
    case SettingType::kWeights:
      return "weights";
  }
  return "";
}

std::string SettingInfo::allowed() const {
  if (check.form == Form::kChoices) {
    std::string out = "one of ";
    for (const char c : check.choices)
      out += c == '|' ? std::string(", ") : std::string(1, c);
    return out;
  }
  if (check.form != Form::kRange) return "";
  const auto shown = [&](double value) {
    if (type == SettingType::kDuration) return duration_text(Duration(static_cast<std::int64_t>(value)));
    if (type == SettingType::kBytes) return bytes_text(static_cast<Bytes>(value));
    return type == SettingType::kInteger ? std::to_string(static_cast<std::int64_t>(value)) : fmt::format("{}", value);
  };
  const std::string after = unit.empty() ? "" : fmt::format(" {}", unit);
  if (check.most >= 1e18) return fmt::format("at least {}{}", shown(check.least), after);
  return fmt::format("between {} and {}{}", shown(check.least), shown(check.most), after);
}

std::span<const SettingInfo> setting_infos() {
  static const std::vector<SettingInfo> kInfos = make_infos();
  return kInfos;
}

const SettingInfo* find_setting(std::string_view name) {
  for (const SettingInfo& info : setting_infos()) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

Status unknown_setting(std::string_view name) {
  std::vector<std::string> names;
  for (const SettingInfo& info : setting_infos())
    names.emplace_back(info.name);
  std::string safe;
  for (const char c : name.substr(0, 64))
    safe += c > 0x20 && c < 0x7F ? c : '?';
  const std::string nearest = nearest_name(name, names);
  return not_found(fmt::format("there is no setting \"{}\"{}", safe,
                               nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
}

std::string setting_text(const Settings& settings, std::string_view name) {
  const Row* row = find_row(name);
  MLXR_CHECK(row != nullptr, "no such setting");
  return row->text(settings);
}

Status set_setting(Settings& settings, std::string_view name, std::string_view text) {
  const Row* row = find_row(name);
  if (row == nullptr) return unknown_setting(name);
  const Status status = row->set(settings, text, row->info);
  return status.ok() ? status : status.with_context(std::string(name));
}

std::vector<std::string> changed_settings(const Settings& a, const Settings& b) {
  std::vector<std::string> names;
  for (const Row& row : rows()) {
    if (row.text(a) != row.text(b)) names.emplace_back(row.info.name);
  }
  return names;
}

Status Settings::validate() const {
  if (tls_certificate.empty() != tls_key.empty()) {
    return invalid_argument(tls_key.empty() ? "tls_certificate needs tls_key, the file of its private key"
                                            : "tls_key needs tls_certificate, the file of its certificate");
  }
  // What prefill gets in every step (SchedulerOptions::min_prefill_tokens) beside the decodes of all sequences.
  constexpr std::int64_t kPrefillTokens = 32;
  if (max_batch_tokens < max_sequences + kPrefillTokens) {
    return invalid_argument(fmt::format("max_batch_tokens is {}, less than max_sequences ({}) and {} more",
                                        max_batch_tokens, max_sequences, kPrefillTokens));
  }
  if (generated_token_cost <= 0) return invalid_argument("generated_token_cost must be more than 0");
  return {};
}

}  // namespace mlxr
