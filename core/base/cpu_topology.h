#pragma once
// Which processors this process may use and how they lie: cores and their SMT siblings, NUMA nodes, caches, and the CPU
// time that a container grants. Read once when a thread pool or a backend is made; a value, never refreshed.

#include <cstddef>
#include <string>
#include <vector>

namespace mlxr {

struct LogicalCpu {
  int id = 0;         // the operating system's number
  int core = 0;       // dense number of the physical core, from 0
  int numa_node = 0;  // the operating system's number; 0 where there is no NUMA
  int smt_rank = 0;   // 0 for the first allowed thread of its core, 1 for the next
};

struct CpuTopology {
  // Processors that this process may run on, never empty. Order: first threads of cores before their siblings, then by
  // node, then by id; so the first n entries are the best n for n busy threads.
  std::vector<LogicalCpu> cpus;
  int num_cores = 1;              // physical cores with an allowed thread
  int num_performance_cores = 1;  // those of the fast kind on Apple Silicon, elsewhere num_cores
  int num_numa_nodes = 1;         // nodes with an allowed processor
  double cpu_quota = 0;           // processors' worth of time that the control group grants; 0: no limit
  // Of the first allowed processor, for data; 0 when the system does not say.
  std::size_t l1d_bytes = 0;
  std::size_t l2_bytes = 0;
  std::size_t l3_bytes = 0;

  // Performance cores, at most the whole processors in the quota; at least 1. More threads would share a core's
  // arithmetic or be stopped by the scheduler while others wait for them.
  int default_num_threads() const;
};

// Never fails: what the system does not tell is taken as one core a processor, one node, no quota.
CpuTopology read_cpu_topology();

// The same from a file tree like Linux's / (sys/devices/system, sys/fs/cgroup, proc/self/cgroup) under `root`, for the
// processors `allowed` (not empty). Control groups of version 1 and 2 are read, with the tightest limit of all
// ancestors.
CpuTopology read_linux_cpu_topology(const std::string& root, const std::vector<int>& allowed);

// "0-3,8,10-11" -> {0, 1, 2, 3, 8, 10, 11}; what does not parse, or passes 65535, is left out.
std::vector<int> parse_cpu_list(const std::string& text);

}  // namespace mlxr
