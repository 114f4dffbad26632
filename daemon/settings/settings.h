#pragma once
// Settings: what an operator may set of the daemon, as plain values. settings.def has one row a setting; this struct,
// the readers of server.yaml, environment and flags, their errors, docs/settings.md and configs/server.yaml all come
// from the rows. Where values come from and how they are reloaded: settings_file.h.
//
// Values as text are the same everywhere: true/false (on/off, yes/no), numbers, bytes ("8GiB", "512MB", "4096"),
// durations ("5m", "1h30m", "250ms", "-1" for ever, a number is seconds), lists ("a, b"), weights ("a: 1, b: 0.5").

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

using TextList = std::vector<std::string>;
using Bytes = std::uint64_t;
using Duration = std::chrono::milliseconds;
using Weights = std::map<std::string, double, std::less<>>;

namespace settings_literals {
using namespace std::chrono_literals;
constexpr Bytes operator""_MiB(unsigned long long count) {
  return static_cast<Bytes>(count) << 20;
}
constexpr Bytes operator""_GiB(unsigned long long count) {
  return static_cast<Bytes>(count) << 30;
}
}  // namespace settings_literals

namespace settings_defaults {
using namespace settings_literals;
struct Values {
#define MLXR_SETTING_GROUP(title)
#define MLXR_SETTING(type, name, default_value, unit, applies, check, help) type name = default_value;
#include "daemon/settings/settings.def"
#undef MLXR_SETTING
#undef MLXR_SETTING_GROUP
};
}  // namespace settings_defaults

struct Settings : settings_defaults::Values {
  // What single values cannot say: pairs that need each other. kInvalidArgument names the key.
  Status validate() const;
};

enum class SettingType : std::uint8_t { kBool, kInteger, kNumber, kText, kList, kBytes, kDuration, kWeights };
enum class SettingApplies : std::uint8_t { kAtOnce, kRestart };

// What values are allowed, beside the type.
struct SettingCheck {
  enum class Form : std::uint8_t { kAny, kRange, kChoices, kForever, kPath, kAddress, kUrl };
  Form form = Form::kAny;
  double least = 0.0;  // of kRange; durations in milliseconds
  double most = 0.0;
  std::string_view choices = {};  // of kChoices: "a|b|c"
};

struct SettingInfo {
  std::string_view name;
  std::string_view group;
  SettingType type;
  std::string_view unit;
  SettingApplies applies;
  SettingCheck check;
  std::string_view help;

  std::string environment() const;  // "MLXR_HTTP_THREADS"
  std::string flag() const;         // "--http-threads"
  std::string_view type_name() const;
  // "between 1 and 256"; empty: every value of the type.
  std::string allowed() const;
};

// In the order of the rows.
std::span<const SettingInfo> setting_infos();
// nullptr: there is none of this name.
const SettingInfo* find_setting(std::string_view name);
// "there is no setting \"htp\"; did you mean \"http\"?"
Status unknown_setting(std::string_view name);

// The value as text that set_setting() reads back to the same value. `name` must exist.
std::string setting_text(const Settings& settings, std::string_view name);
// kNotFound: no such setting; kInvalidArgument: not of its type, or not allowed: "http_threads: 0 is not between 1 and
// 256 threads".
Status set_setting(Settings& settings, std::string_view name, std::string_view text);
// Names of the settings whose values differ.
std::vector<std::string> changed_settings(const Settings& a, const Settings& b);

// Where `http` says to listen; nullopt: off.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
};
Result<std::optional<ListenAddress>> parse_listen_address(std::string_view http);
inline constexpr std::uint16_t kDefaultHttpPort = 11434;

// A duration as people write it ("5m", "1h30m", "-1", "2.5"; a bare number is seconds, negative is for ever).
// kInvalidArgument otherwise.
Result<Duration> parse_duration(std::string_view text);
std::string duration_text(Duration duration);
inline constexpr Duration kForever{-1};
// "8GiB", "1.5 GB", "4096".
Result<Bytes> parse_bytes(std::string_view text);
std::string bytes_text(Bytes bytes);

// docs/settings.md and configs/server.yaml.
std::string settings_markdown();
std::string settings_example();

}  // namespace mlxr
