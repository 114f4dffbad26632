#pragma once
// Ctrl-C while a command runs: the first sets a flag, which the work looks at; without anybody looking, the second ends
// the process. One object at a time, on the main thread.

#include <atomic>

namespace mlxr::cli {

class Interrupt {
 public:
  Interrupt();   // takes SIGINT
  ~Interrupt();  // gives it back
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Set by Ctrl-C.
  const std::atomic<bool>& flag() const;
  // True once after a Ctrl-C.
  bool take();
};

}  // namespace mlxr::cli
