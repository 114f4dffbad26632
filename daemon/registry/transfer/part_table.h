#pragma once
// What of a file is there already: a download's parts and how far each has come, in a file beside the sparse data file.
// It survives a kill at any byte, since a count is one aligned 8-byte write that follows the write of the data, and a
// crash of the machine, since after a boot only counts are believed whose data was put on disk before. Where it is
// wrong all the same, the digest of the whole file finds out.
//
// One thread at a time; the data file's lock keeps other processes away.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct Part {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t done = 0;  // bytes from `offset` on that are there

  std::uint64_t left() const { return size - done; }
};

// What a table belongs to. Another length, or another validator, is another file.
struct PartTableKey {
  std::uint64_t size = 0;
  std::string validator = {};  // the server's ETag or modification time; empty: it says neither
};

class PartTable {
 public:
  // The parts of a new download: as many as `max_parts`, none smaller than `min_bytes` but the last, none larger than
  // `max_bytes`.
  static std::vector<Part> plan(std::uint64_t size, std::uint64_t min_bytes, std::uint64_t max_bytes, int max_parts);

  explicit PartTable(std::string path) : path_(std::move(path)) {}
  ~PartTable();
  PartTable(const PartTable&) = delete;
  PartTable& operator=(const PartTable&) = delete;

  // What the file says, when it is whole and of `key`; false, and no parts, otherwise.
  bool load(const PartTableKey& key);
  // Starts over with these parts. Errors as AtomicFile's.
  Status reset(const PartTableKey& key, std::vector<Part> parts);
  // After the data was written. kResourceExhausted when the disk is full, else kInternal.
  Status advance(std::size_t part, std::uint64_t bytes);
  // The bytes of this part are wrong or lost.
  Status restart(std::size_t part);
  // Gives the last `tail_bytes` of a part to a new part at the end of the list.
  Status split(std::size_t part, std::uint64_t tail_bytes);
  // All data that was counted so far is on disk.
  Status mark_synced();
  void remove();

  const std::string& path() const { return path_; }
  const std::vector<Part>& parts() const { return parts_; }
  std::uint64_t done_bytes() const;
  bool complete() const;

 private:
  Status save();
  Status open_for_counts();
  Status write_count(std::size_t part, std::size_t field, std::uint64_t value);
  void close();

  std::string path_;
  PartTableKey key_;
  std::vector<Part> parts_;
  std::vector<std::uint64_t> synced_;
  int fd_ = -1;
};

}  // namespace mlxr
