#include "daemon/service/grammar_cache.h"

namespace mlxr {

GrammarCache::Made GrammarCache::get(const std::string& key, const std::function<Made()>& make) {
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = grammars_.begin(); entry != grammars_.end(); ++entry) {
      if (entry->first != key) continue;
      grammars_.splice(grammars_.begin(), grammars_, entry);
      return entry->second;
    }
  }
  Made made = make();
  if (!made.ok()) return made;
  const std::lock_guard lock(mutex_);
  grammars_.emplace_front(key, *made);
  if (grammars_.size() > kMaxGrammars) grammars_.pop_back();
  return made;
}

}  // namespace mlxr
