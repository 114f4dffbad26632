#pragma once
// A fixed set of threads that run one job at a time, made for jobs of microseconds: an op of a decode step.
//
// The calling thread is worker 0 and works too. Between jobs workers spin for about 60 us, so that the next op of a
// step finds them awake, then sleep on a futex. When there are more threads than processors (or than the container's
// CPU quota) nobody spins. Nothing is allocated after the constructor. Measured with 2 threads on a virtual 2-core EPYC
// 7003 (median): an empty parallel_for of 2 ranges 0.5 us, an empty run() 1.2 us from call to return, 130 us where the
// worker sleeps.
//
// Threads: any thread may call; calls from several threads take turns. A call made from inside a job of the same pool
// runs inline on the calling worker. Jobs must not throw: an exception that leaves one ends the program.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/function_ref.h"

namespace mlxr {

class ThreadPool {
 public:
  struct Options {
    int num_threads = 0;  // with the caller; 0: the topology's default (cpu_topology.h). At most 1024.
    // Bind the workers, and the constructing thread as worker 0, to one processor each, cores before SMT siblings. The
    // constructing thread should then be the one that dispatches; the destructor gives it its old mask back if it runs
    // on it. Does nothing where the system has no affinity, or with more threads than processors.
    bool pin = false;
  };

  // A job by index range: worker in [0, num_threads()).
  using RangeJob = FunctionRef<void(std::int64_t begin, std::int64_t end, int worker)>;
  // A job by worker.
  using WorkerJob = FunctionRef<void(int worker, int num_workers)>;

  explicit ThreadPool(Options options);
  // Joins the workers. No call may be running.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return num_threads_; }

  // Calls job(begin, end, worker) for disjoint ranges that cover [0, n), n at most 2^50: `grain` indices each (>= 1;
  // the last range may be shorter), handed out in ascending order to whichever worker is free, so which worker gets
  // which range varies. All that the job wrote is visible to the caller on return. At most one call at a time has a
  // given `worker`. A worker that wakes too late for a short job is not waited for. Nested: one call job(0, n, worker
  // of the outer job).
  void parallel_for(std::int64_t n, std::int64_t grain, RangeJob job);

  // Calls job(worker, num_threads()) once on each worker, all at the same time, and waits for all. Nested: job(0, 1).
  void run(WorkerJob job);

  // Inside a job of run(): waits until every worker has called it; what they wrote before is then visible to all. Every
  // worker must pass the same number of barriers. 0.5 us with 2 threads (as above).
  void barrier();

 private:
  struct Frame;

  // Who may take part in the current job, in one word so that joining is one atomic step: the job's number (upper 32
  // bits), whether it is open, whether everyone must join, and how many workers are inside.
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 31;
  static constexpr std::uint64_t kEveryone = std::uint64_t{1} << 30;
  static constexpr std::uint64_t kInsideMask = kEveryone - 1;

  void worker_loop(int worker) noexcept;
  bool join_job(std::uint32_t& last_job);
  void work(int worker) noexcept;
  void leave_job();
  void start_job(bool everyone);
  void finish_job();
  template <class Word>
  void wait_while_equal(const std::atomic<Word>& word, Word old, std::atomic<int>& sleepers);
  const Frame* find_frame() const;
  void pin_constructing_thread();

  struct SavedAffinity;

  int num_threads_;
  bool spin_;
  std::unique_ptr<SavedAffinity> saved_affinity_;  // of the constructing thread, when it was pinned
  std::mutex dispatch_;                            // held for the length of a job

  // The current job; written by the dispatcher while the gate is shut.
  const RangeJob* range_job_ = nullptr;
  const WorkerJob* worker_job_ = nullptr;
  std::int64_t n_ = 0;
  std::int64_t grain_ = 1;

  // Each on a cache line of its own.
  alignas(64) std::atomic<std::uint32_t> job_number_{0};  // workers wait for it to change
  std::atomic<int> sleeping_workers_{0};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<std::uint64_t> gate_{0};
  alignas(64) std::atomic<std::int64_t> next_{0};  // first index not handed out
  alignas(64) std::atomic<std::uint32_t> departures_{
      0};  // changes when the last worker leaves; the dispatcher waits on it
  std::atomic<int> sleeping_dispatcher_{0};
  alignas(64) std::atomic<int> barrier_missing_{0};
  alignas(64) std::atomic<std::uint32_t> barrier_phase_{0};
  std::atomic<int> barrier_sleepers_{0};

  std::vector<std::thread> threads_;
};

}  // namespace mlxr
