#include "daemon/settings/settings_yaml.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/core.h>

namespace mlxr {
namespace {

using Kind = YamlNode::Kind;

Result<std::string> item_text(const YamlNode& item, const std::string& path) {
  if (item.kind != Kind::kScalar) return yaml_error(path, item, "an item of a list must be a text or a number");
  if (item.text.find(',') != std::string::npos) return yaml_error(path, item, "an item of a list may not hold a comma");
  return item.text;
}

}  // namespace

Result<std::optional<std::string>> read_yaml_file(const std::string& path) {
  // A named pipe must not make the daemon wait.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::string>();
    return internal(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  }
  struct stat info {};
  std::string text;
  Status status;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    status = invalid_argument(path + ": is not a file");
  } else {
    char buffer[16384];
    ssize_t got = 0;
    while (text.size() <= kMaxYamlBytes && (got = ::read(fd, buffer, sizeof buffer)) > 0)
      text.append(buffer, static_cast<std::size_t>(got));
    if (got < 0) status = internal(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  ::close(fd);
  if (!status.ok()) return status;
  return std::optional<std::string>(std::move(text));
}

Result<std::string> yaml_value_text(const YamlNode& value, const std::string& path) {
  if (value.kind == Kind::kNull) return std::string();
  if (value.kind == Kind::kScalar) return value.text;
  std::string out;
  for (const YamlNode& item : value.items) {
    MLXR_ASSIGN_OR_RETURN(const std::string text, item_text(item, path));
    out += (out.empty() ? "" : ", ") + text;
  }
  for (const auto& [key, weight] : value.entries) {
    MLXR_ASSIGN_OR_RETURN(const std::string name, item_text(key, path));
    MLXR_ASSIGN_OR_RETURN(const std::string text, item_text(weight, path));
    out += (out.empty() ? "" : ", ") + name + ": " + text;
  }
  return out;
}

Status apply_yaml(const YamlNode& root, const std::string& path, Settings& settings,
                  FunctionRef<void(const SettingInfo& info, int line)> set) {
  if (root.kind == Kind::kNull) return {};
  if (root.kind != Kind::kMapping) return yaml_error(path, root, "is not a mapping of keys to values");
  for (const auto& [key, value] : root.entries) {
    const SettingInfo* info = find_setting(key.text);
    if (info == nullptr) return yaml_error(path, key, unknown_setting(key.text).message());
    const bool list = value.kind == Kind::kSequence;
    const bool mapping = value.kind == Kind::kMapping;
    if ((list && info->type != SettingType::kList) || (mapping && info->type != SettingType::kWeights)) {
      return yaml_error(path, value,
                        fmt::format("{}: is a {}, not {}", info->name, list ? "list" : "mapping", info->type_name()));
    }
    MLXR_ASSIGN_OR_RETURN(const std::string text, yaml_value_text(value, path));
    const Status status = set_setting(settings, info->name, text);
    if (!status.ok()) return yaml_error(path, key, status.message());
    set(*info, key.line);
  }
  return {};
}

}  // namespace mlxr
