#include "cli/doctor_checks.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/base/cpu_features.h"
#include "core/base/cpu_topology.h"
#include "core/runtime/user_folders.h"
#include "daemon/settings/settings_file.h"

namespace mlxr::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

Finding ok(std::string subject, std::string text) {
  return {Health::kOk, std::move(subject), std::move(text), {}};
}
Finding warning(std::string subject, std::string text, std::string advice) {
  return {Health::kWarning, std::move(subject), std::move(text), std::move(advice)};
}
Finding error(std::string subject, std::string text, std::string advice) {
  return {Health::kError, std::move(subject), std::move(text), std::move(advice)};
}

Finding check_processor() {
  const Result<CpuFeatures> features = usable_cpu_features();
  if (!features.ok()) return error("processor", features.status().message(), "set MLXR_FORCE_ISA to one of these");
  const Isa best = best_isa(*features);
  if (best == Isa::kReference) {
    return warning("processor", "none of the instruction sets that kernels are written for",
                   "models run on portable code, which is many times slower");
  }
  return ok("processor", fmt::format("kernels for {}", isa_name(best)));
}

Finding check_cores() {
  const CpuTopology topology = read_cpu_topology();
  std::string text = fmt::format("{} physical, {} logical", topology.num_cores, topology.cpus.size());
  if (topology.cpu_quota > 0.0) text += fmt::format(", of which the container grants {:.1f}", topology.cpu_quota);
  return ok("cores", text);
}

// A line "NAME: 123 kB" of /proc/meminfo, in bytes.
std::optional<std::uint64_t> meminfo(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name + ":")) continue;
    return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
  }
  return std::nullopt;
}

Finding check_memory() {
  const auto total = meminfo("MemTotal");
  const auto available = meminfo("MemAvailable");
  if (!total || !available) return ok("memory", "not told by this system");
  const std::string text = fmt::format("{} free of {}", format_bytes(static_cast<double>(*available)),
                                       format_bytes(static_cast<double>(*total)));
  if (*available < 2 * kGiB)
    return warning("memory", text, "'mlxr stop MODEL' gives some back; 'mlxr plan MODEL' tells what one needs");
  return ok("memory", text);
}

Finding check_huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  if (!std::getline(file, line)) return ok("huge pages", "not told by this system");
  const std::size_t start = line.find('[');
  const std::size_t end = line.find(']');
  const std::string mode = start < end && end != std::string::npos ? line.substr(start + 1, end - start - 1) : line;
  if (mode == "never") {
    return warning("huge pages", "never",
                   "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled makes large caches faster");
  }
  return ok("huge pages", mode);
}

Finding check_files() {
  constexpr rlim_t kEnough = 4096;
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return ok("open files", "not told by this system");
  if (limit.rlim_max == RLIM_INFINITY) return ok("open files", "no limit");
  const std::string text = fmt::format("{} at most", limit.rlim_max);
  if (limit.rlim_max < kEnough)
    return warning("open files", text, "each connection is one: 'ulimit -n' or LimitNOFILE= of the service raises it");
  return ok("open files", text);
}

// The nearest part of the path that exists.
fs::path existing_part(fs::path path) {
  std::error_code failed;
  while (!path.empty() && !fs::exists(path, failed) && path != path.parent_path())
    path = path.parent_path();
  return path;
}

Finding check_folder(const std::string& subject, const std::string& folder, bool is_private) {
  const fs::path existing = existing_part(folder);
  struct stat info {};
  if (::stat(existing.c_str(), &info) != 0)
    return error(subject, fmt::format("{}: {}", folder, std::strerror(errno)), "make the folder");
  if (!S_ISDIR(info.st_mode)) return error(subject, existing.string() + " is no folder", "move the file away");
  if (::access(existing.c_str(), W_OK | X_OK) != 0)
    return error(subject, existing.string() + " cannot be written",
                 fmt::format("chown or chmod u+rwx {}", existing.string()));
  if (existing != fs::path(folder)) return ok(subject, folder + ", made when it is needed");
  if (is_private && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return error(subject, folder + " can be written by others", fmt::format("chmod go-w {}", folder));
  return ok(subject, folder);
}

Finding check_disk(const std::string& folder) {
  std::error_code failed;
  const fs::space_info space = fs::space(existing_part(folder), failed);
  if (failed) return warning("disk", folder + ": " + failed.message(), "see whether the disk is mounted");
  const std::string text =
      fmt::format("{} free where models are kept", format_bytes(static_cast<double>(space.available)));
  if (space.available < kGiB)
    return error("disk", text, "'mlxr rm MODEL' makes room, 'mlxr doctor --repair' removes leftovers");
  if (space.available < 10 * kGiB)
    return warning("disk", text, "larger models will not fit: 'mlxr rm MODEL' makes room");
  return ok("disk", text);
}

Finding check_deep_health(DaemonClient& client) {
  const Result<Json> health = client.call({.path = "/health/deep", .timeout_s = 30});
  if (!health.ok())
    return error("models in memory", health.status().message(), "see 'mlxr requests' and the daemon's log");
  const Json models = health->value("models", Json::array());
  std::string failing;
  for (const Json& model : models) {
    if (!model.value("ok", false)) failing += (failing.empty() ? "" : ", ") + model.value("model", std::string());
  }
  if (!failing.empty())
    return error("models in memory", printable(failing) + " does not make progress",
                 "'mlxr stop MODEL', then try again");
  return ok("models in memory", models.empty() ? "none" : fmt::format("{}, each made a token", models.size()));
}

}  // namespace

const char* health_name(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarning:
      return "warning";
    case Health::kError:
      return "error";
  }
  return "error";
}

std::vector<Finding> check_machine() {
  return {check_processor(), check_cores(), check_memory(), check_huge_pages(), check_files()};
}

std::vector<Finding> check_folders(const std::string& models) {
  const auto config = user_config_folder();
  const auto runtime = user_runtime_folder();
  const auto state = user_state_folder();
  if (!config || !runtime || !state || models.empty())
    return {error("folders", "the environment names no home", "set HOME")};
  std::vector<Finding> findings = {
      check_folder("settings folder", *config, true), check_folder("state folder", *state, true),
      check_folder("socket folder", *runtime, true), check_folder("models folder", models, false), check_disk(models)};
  return findings;
}

namespace {

Result<std::unique_ptr<SettingsFile>> load_settings() {
  SettingsInputs inputs;
  inputs.path = default_settings_path();
  inputs.environment = settings_environment();
  return SettingsFile::load(std::move(inputs));
}

}  // namespace

Finding check_settings() {
  const auto settings = load_settings();
  if (!settings.ok())
    return error("settings", settings.status().message(), "correct it there; 'mlxr config list' shows all");
  const auto values = (*settings)->list();
  const auto num_changed =
      std::ranges::count_if(values, [](const SettingValue& value) { return value.source != SettingSource::kDefault; });
  return ok("settings", fmt::format("{} differ from the defaults", num_changed));
}

std::string models_folder() {
  const auto settings = load_settings();
  if (settings.ok() && !(*settings)->settings()->models_folder.empty()) return (*settings)->settings()->models_folder;
  const auto data = user_data_folder();
  return data ? *data + "/models" : std::string();
}

std::vector<Finding> check_daemon() {
  const Result<DaemonAddress> address = daemon_address();
  if (!address.ok()) return {error("daemon", address.status().message(), "correct the address")};
  if (!daemon_listens(*address)) {
    // A command starts one here; elsewhere somebody must.
    if (address->local()) return {ok("daemon", "not running; commands start it when they need it")};
    return {error("daemon", address->text() + " does not answer", "start it there, or unset MLXR_HOST")};
  }
  DaemonClient client(*address);
  const Result<Json> server = client.call({.path = "/v1/server", .timeout_s = 10});
  if (!server.ok()) return {error("daemon", server.status().message(), "see " + daemon_log_path())};
  return {ok("daemon", fmt::format("{} on {}, up {}", server->value("version", std::string()), address->text(),
                                   format_duration(server->value("uptime_seconds", 0.0)))),
          check_deep_health(client)};
}

}  // namespace mlxr::cli
