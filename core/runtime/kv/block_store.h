#pragma once
// BlockStore: finished KV blocks in a folder, found again after a restart. One file a block (block_file.h), named by
// its content's name and its parent's, so that a start only lists the folder. Files are written beside their place and
// renamed; they are not synced: what a power cut damages has a wrong checksum.
//
// A store never makes an answer wrong or an engine stop: whatever happens to the folder (full, not writable, files
// damaged, cut, of another model or of another key) is a miss, a count and one warning.
//
// The names cover the fingerprint and, when encrypted, the key, so that many models and keys share a folder and its
// cap. Several processes may share it too; each then counts only what it has seen.
//
// With PagedKv: take_published() after a step names what to put(). For a new prompt, attach_prefix() goes first; then,
// for each full block of prefix_hashes() that follows and leaves a token to compute: read() all groups, and only if
// that went well extend() by a block, write the payloads into the storage and commit(). The first miss ends it.
//
// Threads: all calls may come from any thread. put() only queues; one thread of the store's own writes and evicts.
// read() works on the caller's thread. The destructor writes what is queued.

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/block_catalog.h"
#include "core/runtime/kv/block_file.h"

namespace mlxr {

struct BlockStoreOptions {
  std::string folder;       // made when it does not exist, for its owner only
  std::string fingerprint;  // of all that gives payloads their meaning: weights, storage layout
  std::uint64_t max_bytes = std::uint64_t{8} << 30;
  std::uint64_t max_queued_bytes = std::uint64_t{256} << 20;
  std::string key_file = {};  // not empty: files are encrypted with this key (BlockCipher::from_file)
  // Told at most once for each kind of trouble, one line, on any thread; may be empty.
  std::function<void(const std::string&)> warn = {};
};

// Counts since open(), and what there is now.
struct BlockStoreStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;       // of read(); damaged and failed ones included
  std::uint64_t damaged = 0;      // files that were there and not right
  std::uint64_t read_errors = 0;  // files that the system could not read
  std::uint64_t written = 0;
  std::uint64_t write_errors = 0;
  std::uint64_t dropped = 0;  // not written: the queue was full, or the cap leaves no room
  std::uint64_t evicted = 0;
  std::uint64_t files = 0;         // now
  std::uint64_t bytes = 0;         // now, in whole file system blocks
  std::uint64_t queued_bytes = 0;  // now
};

class BlockStore {
 public:
  // Lists the folder and evicts what is over the cap. Fails when there is no such folder and none can be made, or when
  // the key cannot be used.
  static Result<std::unique_ptr<BlockStore>> open(BlockStoreOptions options);
  ~BlockStore();
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  // Whether the block is on disk.
  bool contains(const BlockKey& key) const;
  // Whether put() would take it: not stored, not queued, and room in the queue for `payload_bytes`. Spares the copy.
  bool wants(const BlockKey& key, std::size_t payload_bytes) const;
  // Queues a block to be written. False: it was dropped; true also when it is stored or queued already.
  bool put(const BlockKey& key, std::span<const std::int32_t> tokens, const BlockHash& parent,
           std::vector<std::byte> payload);
  // Fills `out`, which must have the payload's size, and tells whether it did; on a miss its content is undefined.
  bool read(const BlockKey& key, std::span<const std::int32_t> tokens, const BlockHash& parent,
            std::span<std::byte> out);
  // Waits until all that is queued has been written or dropped.
  void flush();

  BlockStoreStats stats() const;

 private:
  enum class Trouble : std::uint8_t { kWriting, kReading, kDamage, kCount };
  struct Job {
    BlockKey key;
    BlockHash name, parent, parent_name;
    std::vector<std::int32_t> tokens;
    std::vector<std::byte> payload;
  };

  BlockStore(BlockStoreOptions options, std::optional<BlockCipher> cipher);
  BlockHash name_of(const BlockKey& key) const;
  std::string path_of(const BlockHash& name, const BlockHash& parent_name) const;
  const BlockCipher* cipher() const { return cipher_ ? &*cipher_ : nullptr; }

  void scan();
  void write_queued();
  void write_one(std::unique_lock<std::mutex>& lock, Job job);
  // Paths of what has to go for `bytes` more below `parent`; nothing when there is no room.
  std::optional<std::vector<std::string>> make_room(std::uint64_t bytes, const BlockHash& parent);
  void drop(const BlockHash& name);
  Status write_file(Job& job) const;
  Status read_file(const std::string& path, const BlockIdentity& identity, std::span<std::byte> out) const;
  void warn_once(Trouble kind, const std::string& line);

  BlockStoreOptions options_;
  std::optional<BlockCipher> cipher_;
  BlockHash fingerprint_;
  std::array<std::atomic<bool>, static_cast<std::size_t>(Trouble::kCount)> warned_{};

  mutable std::mutex mutex_;  // guards what follows, up to the thread
  std::condition_variable wake_, idle_;
  BlockCatalog catalog_;
  std::deque<Job> queue_;
  std::unordered_set<BlockHash, BlockHashHash> pending_;  // names queued or being written
  std::unordered_set<BlockHash, BlockHashHash> dropped_;  // names for which there was no room lately
  BlockStoreStats stats_;
  bool stopping_ = false;

  std::thread writer_;
};

}  // namespace mlxr
