#include "core/base/thread_pool.h"

#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/cpu_topology.h"

namespace mlxr {
namespace {

class ThreadPoolSizes : public testing::TestWithParam<int> {};

// 1, exactly 2, and more threads than any machine that runs the tests has to spare.
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, testing::Values(1, 2, 3, 8, 33));

TEST_P(ThreadPoolSizes, ParallelForCoversTheRangeOnce) {
  ThreadPool pool({.num_threads = GetParam()});
  ASSERT_EQ(pool.num_threads(), GetParam());
  for (const std::int64_t n : {0, 1, 2, 7, 64, 1000}) {
    for (const std::int64_t grain : {1, 3, 64, 5000}) {
      std::vector<int> touched(static_cast<std::size_t>(n), 0);  // plain ints: ThreadSanitizer sees an overlap
      pool.parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end, int worker) {
        ASSERT_LT(begin, end);
        ASSERT_LE(end - begin, grain);
        ASSERT_EQ(begin % grain, 0);
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, GetParam());
        for (std::int64_t i = begin; i < end; ++i)
          ++touched[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(touched, std::vector<int>(static_cast<std::size_t>(n), 1)) << n << " by " << grain;
    }
  }
}

TEST_P(ThreadPoolSizes, WorkerIndexIsExclusive) {
  ThreadPool pool({.num_threads = GetParam()});
  std::vector<std::int64_t> sums(static_cast<std::size_t>(GetParam()), 0);
  for (int round = 0; round < 20; ++round) {
    pool.parallel_for(
        200, 1, [&](std::int64_t begin, std::int64_t, int worker) { sums[static_cast<std::size_t>(worker)] += begin; });
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), 20 * 199 * 200 / 2);
}

TEST_P(ThreadPoolSizes, RunCallsEveryWorkerOnce) {
  ThreadPool pool({.num_threads = GetParam()});
  std::vector<int> calls(static_cast<std::size_t>(GetParam()), 0);
  for (int round = 0; round < 10; ++round) {
    pool.run([&](int worker, int num_workers) {
      ASSERT_EQ(num_workers, GetParam());
      ++calls[static_cast<std::size_t>(worker)];
    });
  }
  EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(GetParam()), 10));
}

TEST_P(ThreadPoolSizes, BarrierPublishesWhatWasWritten) {
  ThreadPool pool({.num_threads = GetParam()});
  const auto count = static_cast<std::size_t>(GetParam());
  std::vector<int> value(count, 0);
  std::vector<int> wrong(count, 0);
  constexpr int kRounds = 10;
  pool.run([&](int worker, int num_workers) {
    const auto mine = static_cast<std::size_t>(worker);
    const auto next = static_cast<std::size_t>((worker + 1) % num_workers);
    for (int round = 1; round <= kRounds; ++round) {
      value[mine] = round;
      pool.barrier();
      if (value[next] != round) ++wrong[mine];
      pool.barrier();
    }
  });
  EXPECT_EQ(value, std::vector<int>(count, kRounds));
  EXPECT_EQ(wrong, std::vector<int>(count, 0));
}

// Job kinds in turn, faster than late workers wake: a worker must neither miss a job of run() nor do one twice.
TEST_P(ThreadPoolSizes, MixedJobsInQuickSuccession) {
  ThreadPool pool({.num_threads = GetParam()});
  std::vector<int> calls(static_cast<std::size_t>(GetParam()), 0);
  std::vector<int> touched(3, 0);
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    pool.parallel_for(3, 1, [&](std::int64_t i, std::int64_t, int) { ++touched[static_cast<std::size_t>(i)]; });
    pool.run([&](int worker, int) { ++calls[static_cast<std::size_t>(worker)]; });
  }
  EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(GetParam()), kRounds));
  EXPECT_EQ(touched, std::vector<int>(3, kRounds));
}

TEST_P(ThreadPoolSizes, NestedCallsRunInline) {
  ThreadPool pool({.num_threads = GetParam()});
  std::vector<int> touched(40, 0);
  pool.parallel_for(10, 1, [&](std::int64_t outer, std::int64_t, int worker) {
    const std::thread::id here = std::this_thread::get_id();
    pool.parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end, int inner_worker) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      EXPECT_EQ(inner_worker, worker);
      EXPECT_EQ(end - begin, 4);
      for (std::int64_t i = begin; i < end; ++i)
        ++touched[static_cast<std::size_t>(outer * 4 + i)];
    });
    pool.run([&](int inner_worker, int num_workers) {
      EXPECT_EQ(inner_worker, 0);
      EXPECT_EQ(num_workers, 1);
      pool.barrier();
    });
  });
  EXPECT_EQ(touched, std::vector<int>(40, 1));
}

TEST(ThreadPool, TwoPoolsInsideEachOther) {
  ThreadPool outer({.num_threads = 2});
  ThreadPool inner({.num_threads = 2});
  std::vector<int> touched(16, 0);
  outer.parallel_for(4, 1, [&](std::int64_t a, std::int64_t, int) {
    inner.parallel_for(4, 1, [&](std::int64_t b, std::int64_t, int) {
      outer.parallel_for(1, 1,
                         [&](std::int64_t, std::int64_t, int) { ++touched[static_cast<std::size_t>(a * 4 + b)]; });
    });
  });
  EXPECT_EQ(touched, std::vector<int>(16, 1));
}

TEST(ThreadPool, SeveralThreadsTakeTurns) {
  ThreadPool pool({.num_threads = 3});
  int total = 0;  // unguarded: jobs of different callers must not overlap
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        pool.run([&](int worker, int) {
          if (worker == 1) ++total;
        });
      }
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  EXPECT_EQ(total, 40);
}

TEST(ThreadPool, SleepingWorkersAreWoken) {
  ThreadPool pool({.num_threads = 4});
  std::vector<int> calls(4, 0);
  for (int round = 0; round < 20; ++round) {
    // Longer than workers spin, on a thread that does nothing else: they are asleep, or will be, when the job comes.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(300);
    while (std::chrono::steady_clock::now() < until) {
    }
    pool.run([&](int worker, int) { ++calls[static_cast<std::size_t>(worker)]; });
  }
  EXPECT_EQ(calls, std::vector<int>(4, 20));
}

TEST(ThreadPool, DefaultSizeIsTheTopologys) {
  ThreadPool pool({});
  EXPECT_EQ(pool.num_threads(), read_cpu_topology().default_num_threads());
}

TEST(ThreadPool, PinningGivesTheMaskBack) {
  const std::size_t before = read_cpu_topology().cpus.size();
  {
    ThreadPool pool({.num_threads = 2, .pin = true});
    if (before >= 2) {
      EXPECT_EQ(read_cpu_topology().cpus.size(), 1U);
    }
    std::vector<int> calls(2, 0);
    pool.run([&](int worker, int) { ++calls[static_cast<std::size_t>(worker)]; });
    EXPECT_EQ(calls, std::vector<int>(2, 1));
  }
  EXPECT_EQ(read_cpu_topology().cpus.size(), before);
}

TEST(ThreadPool, HugeGrainDoesNotOverflow) {
  ThreadPool pool({.num_threads = 2});
  std::int64_t sum = 0;
  pool.parallel_for(5, INT64_MAX, [&](std::int64_t begin, std::int64_t end, int) { sum += end - begin; });
  EXPECT_EQ(sum, 5);
}

TEST(ThreadPoolDeathTest, ExceptionEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ThreadPool pool({.num_threads = 2});
        pool.run([](int, int) { throw 1; });
      },
      "");
}

TEST(ThreadPoolDeathTest, BarrierOutsideRun) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ThreadPool pool({.num_threads = 2});
        pool.barrier();
      },
      "inside a job of run");
}

}  // namespace
}  // namespace mlxr
