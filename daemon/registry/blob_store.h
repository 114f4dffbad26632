#pragma once
// MODELS/blobs/sha256-HEX: content by its digest, laid out as Ollama's store. A blob appears whole, on disk and
// checked, or not at all. Any thread, any number of processes.
//
// What nothing refers to is garbage, but not while somebody is about to refer to it: a StoreLease is held from before
// the first blob is written or reused until the manifest stands, and blobs that are newer than the oldest lease stay.
// Leases are locked files, so that those of a killed process count no more.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/runtime/kv/block_hash.h"
#include "daemon/registry/digest.h"

namespace mlxr {

// Held by whoever builds a model; released on destruction.
class StoreLease {
 public:
  ~StoreLease();
  StoreLease(const StoreLease&) = delete;
  StoreLease& operator=(const StoreLease&) = delete;

 private:
  friend class BlobStore;
  StoreLease(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_;
};

// Bytes on their way to be a blob. Destroyed without commit() it leaves nothing. One thread at a time.
class BlobWriter {
 public:
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  std::uint64_t size_bytes() const { return size_bytes_; }
  // The blob's digest. kCorrupt `digest mismatch, expected "..", got ".."` when `expected` is another one.
  Result<std::string> commit(const std::string& expected = {});

 private:
  friend class BlobStore;
  BlobWriter(const class BlobStore& store, std::string temporary, int fd);

  const BlobStore& store_;
  std::string temporary_;
  int fd_;
  Sha256 hash_;
  std::uint64_t size_bytes_ = 0;
};

class BlobStore {
 public:
  struct Blob {
    std::string digest;
    std::uint64_t size_bytes = 0;
    std::int64_t modified_ns = 0;
  };
  // A file that is on its way: of a download ("sha256-HEX-partial", "-partial-N") or a temporary one.
  struct Partial {
    std::string path;
    std::uint64_t size_bytes = 0;  // on disk, not the length of a sparse file
    std::int64_t modified_ns = 0;
  };

  // Makes MODELS/blobs when it is not there.
  static Result<std::unique_ptr<BlobStore>> open(const std::string& models_folder);

  const std::string& models_folder() const { return models_folder_; }
  std::string folder() const { return models_folder_ + "/blobs"; }
  // Existing or not. `digest` must be a digest in its one spelling.
  std::string path(std::string_view digest) const;
  bool has(std::string_view digest) const { return size(digest).has_value(); }
  // nullopt: no such blob.
  std::optional<std::uint64_t> size(std::string_view digest) const;
  // The blob is there and stays for as long as a lease is held that was taken before. The one way to build on a blob
  // that somebody else wrote.
  bool reuse(std::string_view digest);

  Result<std::string> read_text(std::string_view digest, std::size_t max_bytes) const;
  Result<std::unique_ptr<BlobWriter>> create();
  // A small blob; its digest.
  Result<std::string> put(std::string_view bytes);
  // A finished file on MODELS' own file system becomes a blob: its bytes are checked, put on disk, and the file is
  // renamed. `known_good` skips reading it again. On a mismatch the file stays, kCorrupt.
  Status adopt(const std::string& file, const std::string& digest, bool known_good = false);
  // A copy of a file from anywhere. `progress` as digest_of_file.
  Result<std::string> add_file(const std::string& file, const std::function<bool(std::uint64_t)>& progress = {});

  // kNotFound, or kCorrupt when the bytes are others than the name says.
  Status verify(const std::string& digest, const std::function<bool(std::uint64_t)>& progress = {}) const;
  Status remove(std::string_view digest);  // whatever refers to it; kNotFound
  std::vector<Blob> list() const;
  std::vector<Partial> partials() const;

  // kInternal when the folder cannot be written.
  Result<std::unique_ptr<StoreLease>> lease();
  // Whether anybody holds a lease.
  bool in_use() const;

  struct Collected {
    std::uint64_t num_blobs = 0;
    std::uint64_t num_partials = 0;
    std::uint64_t freed_bytes = 0;
    std::uint64_t num_kept = 0;  // garbage, but newer than a lease or `min_age`
  };
  struct CollectOptions {
    std::int64_t min_age_s = 0;                      // what is younger stays: uploads that wait for their model
    bool partials = false;                           // also downloads that were broken off; never while a lease is held
    const std::vector<std::string>* only = nullptr;  // these blobs and no others
  };
  // Removes what is not in `referenced`. The caller reads the references inside `references`, which runs under the lock
  // that reuse() takes; when it fails, nothing is removed.
  Result<Collected> collect(const std::function<Result<std::set<std::string>>()>& references,
                            const CollectOptions& options);

 private:
  friend class BlobWriter;
  explicit BlobStore(std::string models_folder) : models_folder_(std::move(models_folder)) {}

  std::string models_folder_;
};

}  // namespace mlxr
