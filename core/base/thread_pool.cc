#include "core/base/thread_pool.h"

#include <algorithm>
#include <chrono>

#include "core/base/check.h"
#include "core/base/cpu_topology.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace mlxr {
namespace {

constexpr int kMaxThreads = 1024;
// The counter of indices runs past the last one by a grain a worker, which must not overflow.
constexpr std::int64_t kMaxIndices = std::int64_t{1} << 50;
constexpr std::chrono::microseconds kSpinTime{60};
constexpr int kPausesPerClockRead = 32;

void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#if defined(__linux__)
void pin_current_thread(int cpu) {
  cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(cpu) + 1);
  if (set == nullptr) return;
  const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpu) + 1);
  CPU_ZERO_S(bytes, set);
  CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set);
  // Pinning only helps speed: when the system refuses, the thread runs where it may.
  static_cast<void>(pthread_setaffinity_np(pthread_self(), bytes, set));
  CPU_FREE(set);
}
#else
void pin_current_thread(int /*cpu*/) {}
#endif

}  // namespace

// One call in progress on this thread. A thread may be inside jobs of several pools, one called from another.
struct ThreadPool::Frame {
  const ThreadPool* pool;
  int worker;
  int num_workers;  // 1: the call runs inline
  bool has_barrier;
  const Frame* outer;

  static thread_local const Frame* innermost;

  Frame(const ThreadPool* p, int w, int workers, bool barrier)
      : pool(p), worker(w), num_workers(workers), has_barrier(barrier), outer(innermost) {
    innermost = this;
  }
  ~Frame() { innermost = outer; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
};

thread_local const ThreadPool::Frame* ThreadPool::Frame::innermost = nullptr;

struct ThreadPool::SavedAffinity {
#if defined(__linux__)
  pthread_t thread;
  cpu_set_t set;
#endif
};

ThreadPool::ThreadPool(Options options) : num_threads_(options.num_threads), spin_(false) {
  MLXR_CHECK(num_threads_ >= 0 && num_threads_ <= kMaxThreads, "thread count out of range");
  const CpuTopology topology = read_cpu_topology();
  if (num_threads_ == 0) num_threads_ = std::min(topology.default_num_threads(), kMaxThreads);
  const auto num_cpus = static_cast<int>(topology.cpus.size());
  spin_ = num_threads_ <= num_cpus && (topology.cpu_quota == 0 || num_threads_ <= topology.cpu_quota);
  const bool pin = options.pin && num_threads_ > 1 && num_threads_ <= num_cpus;

  threads_.reserve(static_cast<std::size_t>(num_threads_ - 1));
  for (int worker = 1; worker < num_threads_; ++worker) {
    const int cpu = pin ? topology.cpus[static_cast<std::size_t>(worker)].id : -1;
    threads_.emplace_back([this, worker, cpu] {
      if (cpu >= 0) pin_current_thread(cpu);
      worker_loop(worker);
    });
  }
#if defined(__linux__)
  if (pin) {
    saved_affinity_ = std::make_unique<SavedAffinity>();
    saved_affinity_->thread = pthread_self();
    const int failed = pthread_getaffinity_np(pthread_self(), sizeof(cpu_set_t), &saved_affinity_->set);
    if (failed != 0) {
      saved_affinity_.reset();
    } else {
      pin_current_thread(topology.cpus.front().id);
    }
  }
#endif
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(dispatch_);
    stop_.store(true, std::memory_order_relaxed);
    job_number_.fetch_add(1);
    job_number_.notify_all();
  }
  for (std::thread& thread : threads_)
    thread.join();
#if defined(__linux__)
  if (saved_affinity_ != nullptr && pthread_equal(saved_affinity_->thread, pthread_self()) != 0) {
    static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), &saved_affinity_->set));
  }
#endif
}

// Spins, then sleeps. Whoever changes the word must then notify when `sleepers` is not 0; both sides use sequentially
// consistent order, so that either the sleeper sees the new word or the notifier sees the sleeper.
template <class Word>
void ThreadPool::wait_while_equal(const std::atomic<Word>& word, Word old, std::atomic<int>& sleepers) {
  if (spin_) {
    const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int i = 0; i < kPausesPerClockRead; ++i) {
        if (word.load(std::memory_order_acquire) != old) return;
        pause_processor();
      }
    } while (std::chrono::steady_clock::now() < deadline);
  }
  sleepers.fetch_add(1);
  word.wait(old);
  sleepers.fetch_sub(1);
}

void ThreadPool::worker_loop(int worker) noexcept {
  std::uint32_t last_job = 0;
  while (true) {
    wait_while_equal(job_number_, last_job, sleeping_workers_);
    if (stop_.load(std::memory_order_acquire)) return;
    if (!join_job(last_job)) continue;
    work(worker);
    leave_job();
  }
}

// True when the worker is now inside a job that it has not done before. False when the job that woke it is over. Either
// way last_job becomes the gate's job: it may be newer than the one that woke the worker, since the gate opens first.
bool ThreadPool::join_job(std::uint32_t& last_job) {
  std::uint64_t gate = gate_.load();
  while (true) {
    const auto job = static_cast<std::uint32_t>(gate >> 32);
    const bool can_join = (gate & kOpen) != 0 && job != last_job;
    // Where everyone must join, the count starts full and nobody adds to it.
    if (!can_join || (gate & kEveryone) != 0 || gate_.compare_exchange_weak(gate, gate + 1)) {
      last_job = job;
      return can_join;
    }
  }
}

void ThreadPool::work(int worker) noexcept {
  const Frame frame(this, worker, num_threads_, worker_job_ != nullptr);
  if (worker_job_ != nullptr) {
    (*worker_job_)(worker, num_threads_);
    return;
  }
  while (true) {
    const std::int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= n_) return;
    (*range_job_)(begin, std::min(begin + grain_, n_), worker);
  }
}

void ThreadPool::leave_job() {
  const std::uint64_t before = gate_.fetch_sub(1);
  if ((before & kInsideMask) != 1) return;
  departures_.fetch_add(1);
  if (sleeping_dispatcher_.load() != 0) departures_.notify_one();
}

void ThreadPool::start_job(bool everyone) {
  const std::uint32_t job = job_number_.load(std::memory_order_relaxed) + 1;
  const std::uint64_t inside = everyone ? static_cast<std::uint64_t>(num_threads_ - 1) | kEveryone : 0;
  gate_.store((static_cast<std::uint64_t>(job) << 32) | kOpen | inside);
  job_number_.store(job);
  if (sleeping_workers_.load() != 0) job_number_.notify_all();
}

// Shuts the gate and waits for those inside. Called by the dispatcher after its own share of the work.
void ThreadPool::finish_job() {
  std::uint32_t departures = departures_.load();
  // A job for everyone stays open until all have left: a worker that wakes late still has its part to do.
  std::uint64_t gate = gate_.load();
  if ((gate & kEveryone) == 0) gate = gate_.fetch_and(~kOpen);
  while ((gate & kInsideMask) != 0) {
    wait_while_equal(departures_, departures, sleeping_dispatcher_);
    departures = departures_.load();
    gate = gate_.load();
  }
  gate_.fetch_and(~kOpen);
}

const ThreadPool::Frame* ThreadPool::find_frame() const {
  for (const Frame* frame = Frame::innermost; frame != nullptr; frame = frame->outer) {
    if (frame->pool == this) return frame;
  }
  return nullptr;
}

void ThreadPool::parallel_for(std::int64_t n, std::int64_t grain, RangeJob job) {
  MLXR_CHECK(n >= 0 && n <= kMaxIndices && grain >= 1, "a range and a grain that exist");
  if (n == 0) return;
  const Frame* nested = find_frame();
  if (nested != nullptr) {
    const Frame frame(this, nested->worker, 1, false);
    [&]() noexcept { job(0, n, nested->worker); }();
    return;
  }
  const std::lock_guard lock(dispatch_);
  grain_ = std::min(grain, n);
  n_ = n;
  if (num_threads_ == 1 || n <= grain) {
    const Frame frame(this, 0, num_threads_, false);
    [&]() noexcept {
      for (std::int64_t begin = 0; begin < n; begin += std::min(grain_, n - begin)) {
        job(begin, begin + std::min(grain_, n - begin), 0);
      }
    }();
    return;
  }
  range_job_ = &job;
  worker_job_ = nullptr;
  next_.store(0, std::memory_order_relaxed);
  start_job(false);
  work(0);
  finish_job();
}

void ThreadPool::run(WorkerJob job) {
  if (find_frame() != nullptr) {
    const Frame frame(this, 0, 1, true);
    [&]() noexcept { job(0, 1); }();
    return;
  }
  const std::lock_guard lock(dispatch_);
  worker_job_ = &job;
  barrier_missing_.store(num_threads_, std::memory_order_relaxed);
  start_job(true);
  work(0);
  finish_job();
}

void ThreadPool::barrier() {
  const Frame* frame = find_frame();
  MLXR_CHECK(frame != nullptr && frame->has_barrier, "a barrier stands inside a job of run()");
  if (frame->num_workers == 1) return;
  const std::uint32_t phase = barrier_phase_.load();
  if (barrier_missing_.fetch_sub(1) == 1) {
    barrier_missing_.store(num_threads_, std::memory_order_relaxed);
    barrier_phase_.store(phase + 1);
    if (barrier_sleepers_.load() != 0) barrier_phase_.notify_all();
    return;
  }
  while (barrier_phase_.load() == phase)
    wait_while_equal(barrier_phase_, phase, barrier_sleepers_);
}

}  // namespace mlxr
