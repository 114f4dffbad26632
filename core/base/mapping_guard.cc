#include "core/base/mapping_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <mutex>

namespace mlxr {
namespace {

// Read by the signal handler, so atomics alone: a slot is in use when `end` is not 0, and `begin` was written before.
struct Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> damaged{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

struct Slots {
  std::array<Slot, mapping_guard::kMaxMappings> slots;
  std::atomic<std::size_t> used{0};  // slots beyond were never in use
  std::atomic<std::uint64_t> num_damaged{0};
  std::uintptr_t page_bytes = 0;
  struct sigaction before {};  // whose the signal was
};

Slots& all_slots() {
  static Slots slots;
  return slots;
}

Slot* find(std::uintptr_t address) {
  Slots& all = all_slots();
  const std::size_t used = all.used.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < used; ++i) {
    Slot& slot = all.slots[i];
    const std::uintptr_t end = slot.end.load(std::memory_order_acquire);
    if (end != 0 && address < end && address >= slot.begin.load(std::memory_order_relaxed)) return &slot;
  }
  return nullptr;
}

// Puts a page of zeros where the file has none. mmap is a plain system call here: it takes no lock of this process.
bool replace_page(std::uintptr_t address) {
  const Slots& all = all_slots();
  const std::uintptr_t page = address / all.page_bytes * all.page_bytes;
  void* wanted = reinterpret_cast<void*>(page);
  return ::mmap(wanted, all.page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wanted;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  Slots& all = all_slots();
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  Slot* slot = find(address);
  if (slot != nullptr && replace_page(address)) {
    if (!slot->damaged.exchange(true)) all.num_damaged.fetch_add(1);
    return;  // the read is tried again
  }
  // Not of a mapped file: as if this handler were not there.
  if ((all.before.sa_flags & SA_SIGINFO) != 0 && all.before.sa_sigaction != nullptr) {
    all.before.sa_sigaction(signal, info, context);
    return;
  }
  struct sigaction fatal {};
  fatal.sa_handler = SIG_DFL;
  ::sigaction(signal, &fatal, nullptr);  // and the read, tried again, ends the process
}

void install() {
  Slots& all = all_slots();
  all.page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, &all.before);
}

std::mutex& slots_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

std::uint64_t num_damaged_mappings() {
  return all_slots().num_damaged.load(std::memory_order_acquire);
}

bool mapping_damaged(std::span<const std::byte> bytes) {
  const Slot* slot = bytes.empty() ? nullptr : find(reinterpret_cast<std::uintptr_t>(bytes.data()));
  return slot != nullptr && slot->damaged.load(std::memory_order_acquire);
}

namespace mapping_guard {

void add(std::span<const std::byte> mapping) {
  if (mapping.empty()) return;
  static std::once_flag installed;
  std::call_once(installed, install);
  Slots& all = all_slots();
  const std::lock_guard lock(slots_mutex());
  for (std::size_t i = 0; i < kMaxMappings; ++i) {
    Slot& slot = all.slots[i];
    if (slot.end.load(std::memory_order_relaxed) != 0) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(mapping.data());
    slot.damaged.store(false, std::memory_order_relaxed);
    slot.begin.store(begin, std::memory_order_relaxed);
    // Whole pages: the system maps no less.
    slot.end.store((begin + mapping.size() + all.page_bytes - 1) / all.page_bytes * all.page_bytes,
                   std::memory_order_release);
    if (i >= all.used.load(std::memory_order_relaxed)) all.used.store(i + 1, std::memory_order_release);
    return;
  }
}

void remove(std::span<const std::byte> mapping) {
  if (mapping.empty()) return;
  const std::lock_guard lock(slots_mutex());
  const auto begin = reinterpret_cast<std::uintptr_t>(mapping.data());
  for (Slot& slot : all_slots().slots) {
    if (slot.end.load(std::memory_order_relaxed) == 0 || slot.begin.load(std::memory_order_relaxed) != begin) continue;
    slot.end.store(0, std::memory_order_release);
    return;
  }
}

}  // namespace mapping_guard

}  // namespace mlxr
