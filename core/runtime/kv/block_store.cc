#include "core/runtime/kv/block_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/core.h>

#include "core/base/check.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".kv";
constexpr char kTemporary[] = ".tmp-";
constexpr std::size_t kHexDigits = 64;
constexpr auto kTemporaryLifetime = std::chrono::hours(1);  // older ones are of a process that ended

// What a file takes on disk.
std::uint64_t disk_bytes(std::uint64_t size) {
  constexpr std::uint64_t kUnit = 4096;
  return (size + kUnit - 1) / kUnit * kUnit;
}

Status make_folder(const std::string& folder) {
  std::error_code error;
  const fs::path path(folder);
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return internal(folder + ": cannot make the folder of KV blocks: " + std::strerror(errno));
  }
  if (!fs::is_directory(path, error)) return invalid_argument(folder + ": is not a folder");
  return {};
}

struct FoundFile {
  fs::file_time_type last_use;
  BlockHash name, parent;
  std::uint64_t bytes = 0;
};

// "ab/cdef...-PARENT.kv" below the folder, as path_of() makes it.
std::optional<FoundFile> parse_path(const std::string& folder, const std::string& file) {
  if (file.size() != kHexDigits - 2 + 1 + kHexDigits + std::strlen(kSuffix) || !file.ends_with(kSuffix) ||
      file[kHexDigits - 2] != '-') {
    return std::nullopt;
  }
  const auto name = BlockHash::from_hex(folder + file.substr(0, kHexDigits - 2));
  const auto parent = BlockHash::from_hex(file.substr(kHexDigits - 1, kHexDigits));
  if (!name || !parent) return std::nullopt;
  return FoundFile{.last_use = {}, .name = *name, .parent = *parent};
}

void scan_folder(const fs::path& folder, std::vector<FoundFile>& found) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code unreadable;
    const auto last_use = entry->last_write_time(unreadable);
    const std::uint64_t size = unreadable ? 0 : entry->file_size(unreadable);
    if (unreadable) continue;
    const std::string file = entry->path().filename().string();
    if (file.starts_with(kTemporary)) {
      if (fs::file_time_type::clock::now() - last_use > kTemporaryLifetime) fs::remove(entry->path(), unreadable);
      continue;
    }
    if (auto parsed = parse_path(folder.filename().string(), file)) {
      parsed->last_use = last_use;
      parsed->bytes = disk_bytes(size);
      found.push_back(*parsed);
    }
  }
}

}  // namespace

Result<std::unique_ptr<BlockStore>> BlockStore::open(BlockStoreOptions options) {
  MLXR_RETURN_IF_ERROR(make_folder(options.folder));
  std::optional<BlockCipher> cipher;
  if (!options.key_file.empty()) {
    MLXR_ASSIGN_OR_RETURN(cipher, BlockCipher::from_file(options.key_file));
  }
  std::unique_ptr<BlockStore> store(new BlockStore(std::move(options), cipher));
  store->scan();
  store->writer_ = std::thread([raw = store.get()] { raw->write_queued(); });
  return store;
}

BlockStore::BlockStore(BlockStoreOptions options, std::optional<BlockCipher> cipher)
    : options_(std::move(options)), cipher_(cipher) {
  fingerprint_ = Sha256().update_field(options_.fingerprint).finish();
}

BlockStore::~BlockStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

BlockHash BlockStore::name_of(const BlockKey& key) const {
  Sha256 sha;
  // All fields have fixed sizes.
  if (cipher_) sha.update(std::as_bytes(std::span(cipher_->name_key().bytes)));
  sha.update(std::as_bytes(std::span(&kBlockFileVersion, 1))).update(std::as_bytes(std::span(fingerprint_.bytes)));
  sha.update(std::as_bytes(std::span(key.hash.bytes))).update(std::as_bytes(std::span(&key.group, 1)));
  return sha.finish();
}

std::string BlockStore::path_of(const BlockHash& name, const BlockHash& parent_name) const {
  const std::string hex = name.hex();
  return options_.folder + "/" + hex.substr(0, 2) + "/" + hex.substr(2) + "-" + parent_name.hex() + kSuffix;
}

void BlockStore::scan() {
  std::vector<FoundFile> found;
  std::error_code error;
  for (fs::directory_iterator entry(options_.folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code unreadable;
    if (entry->path().filename().string().size() == 2 && entry->is_directory(unreadable)) {
      scan_folder(entry->path(), found);
    }
  }
  std::sort(found.begin(), found.end(), [](const FoundFile& a, const FoundFile& b) {
    return a.last_use != b.last_use ? a.last_use < b.last_use : a.name.bytes < b.name.bytes;
  });
  for (const FoundFile& file : found) {
    if (catalog_.find(file.name) == nullptr) catalog_.add(file.name, file.parent, file.bytes);
  }
  for (const std::string& path : make_room(0, BlockHash{}).value_or(std::vector<std::string>{}))
    ::unlink(path.c_str());
}

bool BlockStore::contains(const BlockKey& key) const {
  const BlockHash name = name_of(key);
  const std::lock_guard lock(mutex_);
  return catalog_.find(name) != nullptr;
}

bool BlockStore::wants(const BlockKey& key, std::size_t payload_bytes) const {
  const BlockHash name = name_of(key);
  const std::lock_guard lock(mutex_);
  return catalog_.find(name) == nullptr && !pending_.contains(name) &&
         stats_.queued_bytes + payload_bytes <= options_.max_queued_bytes;
}

bool BlockStore::put(const BlockKey& key, std::span<const std::int32_t> tokens, const BlockHash& parent,
                     std::vector<std::byte> payload) {
  Job job{.key = key,
          .name = name_of(key),
          .parent = parent,
          .parent_name = name_of({parent, key.group}),
          .tokens = {tokens.begin(), tokens.end()},
          .payload = std::move(payload)};
  {
    const std::lock_guard lock(mutex_);
    if (catalog_.find(job.name) != nullptr || pending_.contains(job.name)) return true;
    if (stats_.queued_bytes + job.payload.size() > options_.max_queued_bytes) {
      drop(job.name);
      return false;
    }
    stats_.queued_bytes += job.payload.size();
    pending_.insert(job.name);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void BlockStore::write_queued() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    write_one(lock, std::move(job));
    if (pending_.empty()) idle_.notify_all();
  }
}

void BlockStore::write_one(std::unique_lock<std::mutex>& lock, Job job) {
  const std::size_t payload_bytes = job.payload.size();
  const std::uint64_t bytes = disk_bytes(block_file_bytes(job.tokens.size(), payload_bytes));
  const std::optional<std::vector<std::string>> victims = make_room(bytes, job.parent_name);
  Status status;
  if (victims) {
    lock.unlock();
    for (const std::string& path : *victims)
      ::unlink(path.c_str());
    status = write_file(job);
    if (!status.ok()) warn_once(Trouble::kWriting, "KV blocks are not kept on disk: " + status.message());
    lock.lock();
  }
  stats_.queued_bytes -= payload_bytes;
  pending_.erase(job.name);
  if (!victims) {
    drop(job.name);
  } else if (!status.ok()) {
    ++stats_.write_errors;
  } else {
    ++stats_.written;
    catalog_.add(job.name, job.parent_name, bytes);
    dropped_.erase(job.name);
  }
}

// A chain that is longer than the cap keeps its beginning: nothing is evicted for a block whose parent would go for it
// or has found no room itself.
std::optional<std::vector<std::string>> BlockStore::make_room(std::uint64_t bytes, const BlockHash& parent) {
  if (bytes > options_.max_bytes) return std::nullopt;
  const std::uint64_t limit = options_.max_bytes - bytes;
  std::vector<std::string> paths;
  if (catalog_.bytes() > limit && dropped_.contains(parent)) return std::nullopt;
  while (catalog_.bytes() > limit) {
    const std::optional<BlockHash> victim = catalog_.next_victim(parent);
    if (!victim) break;
    paths.push_back(path_of(*victim, catalog_.find(*victim)->parent));
    catalog_.remove(*victim);
    ++stats_.evicted;
  }
  if (catalog_.bytes() <= limit) return paths;
  // What was taken off the list is gone in any case.
  for (const std::string& path : paths)
    ::unlink(path.c_str());
  return std::nullopt;
}

void BlockStore::drop(const BlockHash& name) {
  constexpr std::size_t kMaxRemembered = 10000;
  if (dropped_.size() >= kMaxRemembered) dropped_.clear();
  dropped_.insert(name);
  ++stats_.dropped;
}

bool BlockStore::read(const BlockKey& key, std::span<const std::int32_t> tokens, const BlockHash& parent,
                      std::span<std::byte> out) {
  const BlockHash name = name_of(key);
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    const BlockCatalog::Entry* entry = catalog_.find(name);
    if (entry == nullptr) {
      ++stats_.misses;
      return false;
    }
    path = path_of(name, entry->parent);
  }
  const Status status = read_file(path, {fingerprint_, key, parent, tokens}, out);
  const bool damaged = status.code() == StatusCode::kCorrupt;
  if (damaged) {
    // Before the name is free again: the writer may put a good file in its place then.
    ::unlink(path.c_str());
    warn_once(Trouble::kDamage, "a KV block on disk cannot be used: " + status.message());
  } else if (!status.ok() && status.code() != StatusCode::kNotFound) {
    warn_once(Trouble::kReading, "KV blocks cannot be read from disk: " + status.message());
  }
  const std::lock_guard lock(mutex_);
  const bool stored = catalog_.find(name) != nullptr;
  if (status.ok()) {
    ++stats_.hits;
    if (stored) catalog_.touch(name);
    return true;
  }
  ++stats_.misses;
  if (damaged) ++stats_.damaged;
  if (!damaged && status.code() != StatusCode::kNotFound) ++stats_.read_errors;
  if (stored) catalog_.remove(name);
  return false;
}

void BlockStore::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return pending_.empty(); });
}

BlockStoreStats BlockStore::stats() const {
  const std::lock_guard lock(mutex_);
  BlockStoreStats result = stats_;
  result.files = catalog_.size();
  result.bytes = catalog_.bytes();
  return result;
}

void BlockStore::warn_once(Trouble kind, const std::string& line) {
  if (!warned_[static_cast<std::size_t>(kind)].exchange(true) && options_.warn) options_.warn(line);
}

}  // namespace mlxr
