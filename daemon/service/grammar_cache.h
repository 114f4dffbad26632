#pragma once
// GrammarCache: compiled grammars of one engine by what they were made of, so that a schema that comes with every
// request is compiled once and keeps what was found out about it. Thread-safe.

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "core/runtime/grammar/grammar.h"

namespace mlxr {

class GrammarCache {
 public:
  using Made = Result<std::shared_ptr<const Grammar>>;
  // Two who ask at the same time may both make it.
  Made get(const std::string& key, const std::function<Made()>& make);

 private:
  static constexpr std::size_t kMaxGrammars = 32;

  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const Grammar>>> grammars_;  // latest first; guarded by mutex_
};

}  // namespace mlxr
