#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace mlxr::cli {
namespace {

// A signal handler can only reach a global.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);
struct sigaction previous {};

void on_interrupt(int) {
  constexpr int kExitInterrupted = 130;
  if (interrupted.exchange(true)) ::_exit(kExitInterrupted);
}

}  // namespace

Interrupt::Interrupt() {
  interrupted = false;
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: a blocking read returns
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &previous);
}

Interrupt::~Interrupt() {
  ::sigaction(SIGINT, &previous, nullptr);
}

const std::atomic<bool>& Interrupt::flag() const {
  return interrupted;
}

bool Interrupt::take() {
  return interrupted.exchange(false);
}

}  // namespace mlxr::cli
