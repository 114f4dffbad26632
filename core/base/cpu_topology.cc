#include "core/base/cpu_topology.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "core/base/check.h"

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace mlxr {
namespace {

constexpr int kMaxCpus = 65536;

std::optional<std::string> read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<long long> parse_integer(std::string_view text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<long long> read_integer(const std::string& path) {
  const std::optional<std::string> line = read_line(path);
  return line ? parse_integer(*line) : std::nullopt;
}

// "512K", "32M".
std::size_t parse_size(const std::string& text) {
  const long long count = parse_integer(text).value_or(0);
  if (count <= 0 || count > (1LL << 40)) return 0;
  const char unit = text.back();
  const int shift = unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
  return static_cast<std::size_t>(count) << shift;
}

void read_caches(const std::string& cpu_folder, CpuTopology& topology) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = cpu_folder + "/cache/index" + std::to_string(index);
    const std::optional<long long> level = read_integer(folder + "/level");
    if (!level) return;
    if (read_line(folder + "/type").value_or("") == "Instruction") continue;
    const std::size_t bytes = parse_size(read_line(folder + "/size").value_or("0"));
    if (*level == 1) topology.l1d_bytes = bytes;
    if (*level == 2) topology.l2_bytes = bytes;
    if (*level == 3) topology.l3_bytes = bytes;
  }
}

std::map<int, int> read_numa_nodes(const std::string& root) {
  std::map<int, int> node_of_cpu;
  const std::string folder = root + "/sys/devices/system/node";
  for (const int node : parse_cpu_list(read_line(folder + "/online").value_or("0"))) {
    const std::optional<std::string> cpus = read_line(folder + "/node" + std::to_string(node) + "/cpulist");
    for (const int cpu : parse_cpu_list(cpus.value_or("")))
      node_of_cpu[cpu] = node;
  }
  return node_of_cpu;
}

std::optional<double> quota_of(long long quota_us, long long period_us) {
  if (quota_us <= 0 || period_us <= 0) return std::nullopt;
  return static_cast<double>(quota_us) / static_cast<double>(period_us);
}

// cgroup v2: "max 100000" or "150000 100000".
std::optional<double> read_v2_quota(const std::string& folder) {
  const std::optional<std::string> line = read_line(folder + "/cpu.max");
  if (!line) return std::nullopt;
  std::istringstream words(*line);
  std::string quota;
  std::string period;
  words >> quota >> period;
  return quota_of(parse_integer(quota).value_or(0), parse_integer(period).value_or(0));
}

std::optional<double> read_v1_quota(const std::string& folder) {
  return quota_of(read_integer(folder + "/cpu.cfs_quota_us").value_or(0),
                  read_integer(folder + "/cpu.cfs_period_us").value_or(0));
}

// The tightest limit of `path` and its ancestors below `mount`. Inside a container the mount often shows only the
// container's own group, as its root, whatever path the kernel reports: walking up to the mount finds it there.
double tightest_quota(const std::string& mount, std::string path, std::optional<double> (*read)(const std::string&)) {
  double tightest = 0;
  while (true) {
    const std::optional<double> quota = read(mount + path);
    if (quota && (tightest == 0 || *quota < tightest)) tightest = *quota;
    const std::size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return tightest;
    path.resize(slash);
  }
}

// Lines of /proc/self/cgroup: "0::/path" for version 2, "4:cpu,cpuacct:/path" for a version 1 hierarchy.
double read_cpu_quota(const std::string& root) {
  double tightest = 0;
  const auto consider = [&](double quota) {
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
  };
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path.find("..") != std::string::npos) path.clear();
    const std::string mount = root + "/sys/fs/cgroup";
    if (controllers.empty()) {
      consider(tightest_quota(mount, path, read_v2_quota));
    } else if (controllers == "cpu" || controllers.rfind("cpu,", 0) == 0 ||
               controllers.find(",cpu") != std::string::npos) {
      consider(tightest_quota(mount + "/cpu", path, read_v1_quota));
      consider(tightest_quota(mount + "/" + controllers, path, read_v1_quota));
    }
  }
  return tightest;
}

// Sets smt_rank, num_cores, num_numa_nodes from the cores, and the documented order.
void finish(CpuTopology& topology) {
  std::map<int, int> threads_of_core;
  std::set<int> nodes;
  for (LogicalCpu& cpu : topology.cpus) {
    cpu.smt_rank = threads_of_core[cpu.core]++;
    nodes.insert(cpu.numa_node);
  }
  topology.num_cores = static_cast<int>(threads_of_core.size());
  topology.num_performance_cores = topology.num_cores;
  topology.num_numa_nodes = static_cast<int>(nodes.size());
  std::sort(topology.cpus.begin(), topology.cpus.end(), [](const LogicalCpu& a, const LogicalCpu& b) {
    return std::tuple(a.smt_rank, a.numa_node, a.id) < std::tuple(b.smt_rank, b.numa_node, b.id);
  });
}

std::vector<int> allowed_cpus() {
  std::vector<int> allowed;
#if defined(__linux__)
  // The kernel refuses a mask smaller than its own: double it until it fits.
  for (int count = 1024; count <= kMaxCpus && allowed.empty(); count *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(count));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(count));
    if (sched_getaffinity(0, bytes, set) == 0) {
      for (int cpu = 0; cpu < count; ++cpu) {
        if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set)) allowed.push_back(cpu);
      }
    }
    CPU_FREE(set);
  }
#endif
  if (allowed.empty()) {
    const int count = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (int cpu = 0; cpu < count; ++cpu)
      allowed.push_back(cpu);
  }
  return allowed;
}

#if defined(__APPLE__)
long long sysctl_integer(const char* name) {
  long long value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

CpuTopology read_apple_cpu_topology() {
  CpuTopology topology;
  const auto logical = static_cast<int>(std::max(1LL, sysctl_integer("hw.logicalcpu")));
  const auto physical = static_cast<int>(std::max(1LL, sysctl_integer("hw.physicalcpu")));
  for (int cpu = 0; cpu < logical; ++cpu)
    topology.cpus.push_back({.id = cpu, .core = cpu % physical});
  finish(topology);
  const auto performance = static_cast<int>(sysctl_integer("hw.perflevel0.physicalcpu"));
  if (performance > 0) topology.num_performance_cores = performance;
  topology.l1d_bytes = static_cast<std::size_t>(sysctl_integer("hw.perflevel0.l1dcachesize"));
  topology.l2_bytes = static_cast<std::size_t>(sysctl_integer("hw.perflevel0.l2cachesize"));
  topology.l3_bytes = static_cast<std::size_t>(sysctl_integer("hw.l3cachesize"));
  return topology;
}
#endif

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t dash = part.find('-');
    const std::optional<long long> first = parse_integer(part);
    const std::optional<long long> last =
        dash == std::string::npos ? first : parse_integer(std::string_view(part).substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= kMaxCpus) continue;
    for (long long cpu = *first; cpu <= *last; ++cpu)
      cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

int CpuTopology::default_num_threads() const {
  const int granted = cpu_quota > 0 ? std::max(1, static_cast<int>(std::min(cpu_quota, 1e6))) : num_performance_cores;
  return std::max(1, std::min(num_performance_cores, granted));
}

CpuTopology read_linux_cpu_topology(const std::string& root, const std::vector<int>& allowed) {
  MLXR_CHECK(!allowed.empty(), "a process runs somewhere");
  CpuTopology topology;
  const std::map<int, int> node_of_cpu = read_numa_nodes(root);
  // A core is named by its package and number; where sysfs is silent, each processor is its own.
  std::map<std::pair<long long, long long>, int> cores;
  for (const int id : allowed) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(id);
    const std::optional<long long> core_id = read_integer(folder + "/topology/core_id");
    const long long package = read_integer(folder + "/topology/physical_package_id").value_or(0);
    const auto key =
        core_id && *core_id >= 0 ? std::pair(package, *core_id) : std::pair(-2LL, static_cast<long long>(id));
    const int core = cores.try_emplace(key, static_cast<int>(cores.size())).first->second;
    const auto node = node_of_cpu.find(id);
    topology.cpus.push_back({.id = id, .core = core, .numa_node = node == node_of_cpu.end() ? 0 : node->second});
  }
  finish(topology);
  topology.cpu_quota = read_cpu_quota(root);
  read_caches(root + "/sys/devices/system/cpu/cpu" + std::to_string(topology.cpus.front().id), topology);
  return topology;
}

CpuTopology read_cpu_topology() {
#if defined(__APPLE__)
  return read_apple_cpu_topology();
#else
  return read_linux_cpu_topology("", allowed_cpus());
#endif
}

}  // namespace mlxr
