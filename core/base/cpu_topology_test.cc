#include "core/base/cpu_topology.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

// A folder of made-up system files, removed at the end of a test.
class CpuTopologyTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    root_ = testing::TempDir() + "cpu_topology_" + name + "_" + std::to_string(getpid());
    std::filesystem::create_directories(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text << '\n';
  }

  void write_cpu(int id, int package, int core) {
    const std::string folder = "sys/devices/system/cpu/cpu" + std::to_string(id) + "/topology/";
    write(folder + "core_id", std::to_string(core));
    write(folder + "physical_package_id", std::to_string(package));
  }

  std::string root_;
};

TEST(ParseCpuList, RangesAndRubbish) {
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list("5"), std::vector<int>{5});
  EXPECT_EQ(parse_cpu_list(""), std::vector<int>{});
  EXPECT_EQ(parse_cpu_list("x,2,3-y,-4,0-99999999999,7-6"), std::vector<int>{2});
}

TEST_F(CpuTopologyTest, TwoSocketsWithSmt) {
  // As Linux numbers them: threads of all cores first, then the siblings.
  for (int id = 0; id < 8; ++id)
    write_cpu(id, (id % 4) / 2, id % 2);
  write("sys/devices/system/node/online", "0-1");
  write("sys/devices/system/node/node0/cpulist", "0-1,4-5");
  write("sys/devices/system/node/node1/cpulist", "2-3,6-7");

  const CpuTopology topology = read_linux_cpu_topology(root_, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(topology.num_cores, 4);
  EXPECT_EQ(topology.num_numa_nodes, 2);
  EXPECT_EQ(topology.default_num_threads(), 4);
  ASSERT_EQ(topology.cpus.size(), 8U);
  const int expected_ids[] = {0, 1, 2, 3, 4, 5, 6, 7};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(topology.cpus[i].id, expected_ids[i]);
    EXPECT_EQ(topology.cpus[i].smt_rank, i < 4 ? 0 : 1);
    EXPECT_EQ(topology.cpus[i].numa_node, (i % 4) / 2);
  }
  EXPECT_EQ(topology.cpus[0].core, topology.cpus[4].core);
  EXPECT_NE(topology.cpus[0].core, topology.cpus[2].core);
}

TEST_F(CpuTopologyTest, AdjacentSiblingsAndASmallMask) {
  for (int id = 0; id < 8; ++id)
    write_cpu(id, 0, id / 2);
  const CpuTopology topology = read_linux_cpu_topology(root_, {2, 3, 5});
  EXPECT_EQ(topology.num_cores, 2);
  ASSERT_EQ(topology.cpus.size(), 3U);
  EXPECT_EQ(topology.cpus[0].id, 2);
  EXPECT_EQ(topology.cpus[1].id, 5);
  EXPECT_EQ(topology.cpus[2].id, 3);
  EXPECT_EQ(topology.cpus[2].smt_rank, 1);
}

TEST_F(CpuTopologyTest, SilentSystemIsOneCoreAProcessor) {
  const CpuTopology topology = read_linux_cpu_topology(root_, {0, 1, 2});
  EXPECT_EQ(topology.num_cores, 3);
  EXPECT_EQ(topology.num_numa_nodes, 1);
  EXPECT_EQ(topology.cpu_quota, 0);
  EXPECT_EQ(topology.l2_bytes, 0U);
  EXPECT_EQ(topology.default_num_threads(), 3);
}

TEST_F(CpuTopologyTest, Caches) {
  const char* rows[][3] = {
      {"1", "Data", "48K"}, {"1", "Instruction", "32K"}, {"2", "Unified", "2048K"}, {"3", "Unified", "105M"}};
  for (int i = 0; i < 4; ++i) {
    const std::string folder = "sys/devices/system/cpu/cpu3/cache/index" + std::to_string(i) + "/";
    write(folder + "level", rows[i][0]);
    write(folder + "type", rows[i][1]);
    write(folder + "size", rows[i][2]);
  }
  const CpuTopology topology = read_linux_cpu_topology(root_, {3});
  EXPECT_EQ(topology.l1d_bytes, 48U << 10);
  EXPECT_EQ(topology.l2_bytes, 2U << 20);
  EXPECT_EQ(topology.l3_bytes, std::size_t{105} << 20);
}

TEST_F(CpuTopologyTest, QuotaOfVersion2TakesTheTightestAncestor) {
  write("proc/self/cgroup", "0::/outer/inner");
  write("sys/fs/cgroup/outer/inner/cpu.max", "max 100000");
  write("sys/fs/cgroup/outer/cpu.max", "250000 100000");
  const CpuTopology topology = read_linux_cpu_topology(root_, {0, 1, 2, 3});
  EXPECT_EQ(topology.cpu_quota, 2.5);
  EXPECT_EQ(topology.default_num_threads(), 2);
}

TEST_F(CpuTopologyTest, QuotaOfVersion2AtTheRootOfAContainer) {
  write("proc/self/cgroup", "0::/../../not/visible");
  write("sys/fs/cgroup/cpu.max", "50000 100000");
  const CpuTopology topology = read_linux_cpu_topology(root_, {0, 1});
  EXPECT_EQ(topology.cpu_quota, 0.5);
  EXPECT_EQ(topology.default_num_threads(), 1);
}

TEST_F(CpuTopologyTest, QuotaOfVersion1) {
  write("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000");
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read_linux_cpu_topology(root_, {0, 1, 2, 3}).cpu_quota, 3.0);
  write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(read_linux_cpu_topology(root_, {0}).cpu_quota, 0.0);
}

TEST_F(CpuTopologyTest, QuotaRubbishIsNoLimit) {
  write("proc/self/cgroup", "0::/\nrubbish\n:\n::\n4:cpu");
  for (const char* text : {"", "max", "0 0", "100000 0", "-5 100000", "99999999999999999999999 1"}) {
    write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(read_linux_cpu_topology(root_, {0}).cpu_quota, 0.0) << text;
  }
}

TEST(CpuTopology, ThisMachine) {
  const CpuTopology topology = read_cpu_topology();
  ASSERT_FALSE(topology.cpus.empty());
  EXPECT_GE(topology.num_cores, 1);
  EXPECT_LE(topology.num_cores, static_cast<int>(topology.cpus.size()));
  EXPECT_GE(topology.default_num_threads(), 1);
  EXPECT_LE(topology.default_num_threads(), topology.num_cores);
}

}  // namespace
}  // namespace mlxr
