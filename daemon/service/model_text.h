#pragma once
// ModelText: what belongs to a model's texts and not to its weights: tokenizer, chat template, how it writes calls. Of
// a loaded engine, or read from the files alone.

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/runtime/chat_output/chat_format.h"
#include "core/runtime/engine/engine.h"
#include "daemon/service/make_model_service.h"

namespace mlxr {

struct ModelText {
  std::shared_ptr<const void> owner;  // of the tokenizer; empty: the caller keeps the engine
  const Tokenizer* tokenizer = nullptr;
  std::shared_ptr<const ChatPrompt> chat;  // nullptr: no template
  ChatFormat format;
  std::vector<std::string> warnings;

  bool thinks() const;
  // The template takes a switch for it.
  bool has_thinking_switch() const;
  ModelAbilities abilities() const;
};

// With the template that `resolved` names, if any. kUnsupported when the model has no tokenizer.
Result<ModelText> text_of(const LoadedModel& model, const ResolvedModel& resolved);

// What files say beyond texts.
struct FileFacts {
  std::string architecture;
  std::string name;  // general.name, or the folder's
  std::optional<Pooling> pooling = {};
  bool ranks = false;               // made for ranking documents
  bool embeds = false;              // made for embeddings
  std::int64_t context_length = 0;  // of its training
};
FileFacts file_facts(const WeightSource& source, const std::string& path);

// Reads files without their weights, and keeps what was read last. Thread-safe.
class TextCache {
 public:
  struct Entry {
    std::string path;
    std::shared_ptr<const Tokenizer> tokenizer;
    std::shared_ptr<const ChatPrompt> chat;
    FileFacts facts;
    std::vector<std::string> warnings;
  };
  Result<std::shared_ptr<const Entry>> open(const std::string& path);
  Result<ModelText> text_of(const ResolvedModel& resolved);

 private:
  static constexpr std::size_t kMaxEntries = 4;

  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const Entry>>> entries_;  // by path and time; guarded by mutex_
};

}  // namespace mlxr
