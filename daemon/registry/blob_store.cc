#include "daemon/registry/blob_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>

#include <fmt/core.h>

#include "core/io/json_file.h"
#include "daemon/registry/file_stamp.h"

namespace mlxr {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = ".mlxr-";
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
// Times of files may be read from a coarser clock than the one that leases are compared by.
constexpr std::int64_t kClockSlackNs = 2'000'000'000;

Status system_error(const std::string& path, const char* doing) {
  const int error = errno;
  StatusCode code = StatusCode::kInternal;
  if (error == ENOENT) code = StatusCode::kNotFound;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) code = StatusCode::kResourceExhausted;
  return {code, fmt::format("{}: cannot {}: {}", path, doing, std::strerror(error))};
}

std::string unique_name(std::string_view what) {
  static std::atomic<std::uint64_t> counter{0};
  return fmt::format("{}{}-{}-{}", kTemporaryPrefix, what, ::getpid(), counter.fetch_add(1));
}

// The lock between those who decide to keep a blob (shared) and those who remove (exclusive). Held for moments.
class GarbageLock {
 public:
  static Result<GarbageLock> take(const std::string& models_folder, int mode) {
    const std::string path = models_folder + "/.mlxr-garbage.lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return system_error(path, "open");
    GarbageLock lock(fd);
    while (::flock(fd, mode) != 0) {
      if (errno != EINTR) return system_error(path, "lock");
    }
    return lock;
  }
  GarbageLock(GarbageLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  GarbageLock& operator=(GarbageLock&&) = delete;
  ~GarbageLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit GarbageLock(int fd) : fd_(fd) {}
  int fd_;
};

std::string lease_folder(const std::string& models_folder) {
  return models_folder + "/.mlxr-leases";
}

// When the oldest living lease was taken; nothing when there is none. Files of dead ones go.
std::optional<std::int64_t> oldest_lease(const std::string& models_folder) {
  std::optional<std::int64_t> oldest;
  std::error_code error;
  for (fs::directory_iterator it(lease_folder(models_folder), error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      ::unlink(path.c_str());
    } else if (const auto stamp = file_stamp(path)) {
      oldest = std::min(oldest.value_or(std::numeric_limits<std::int64_t>::max()), stamp->modified_ns);
    }
    ::close(fd);
  }
  return oldest;
}

// Download parts are of a blob that has no whole file yet.
bool is_partial_name(std::string_view name) {
  return name.starts_with(kTemporaryPrefix) ||
         (name.starts_with("sha256-") && (name.find("-partial") != std::string_view::npos || name.ends_with("-parts")));
}

Status write_whole(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status mismatch(const std::string& expected, const std::string& got) {
  return corrupt(fmt::format("digest mismatch, expected \"{}\", got \"{}\"", expected, got));
}

}  // namespace

// --- leases and writers
// ------------------------------------------------------------------------------------------------

StoreLease::~StoreLease() {
  ::unlink(path_.c_str());
  ::close(fd_);
}

BlobWriter::BlobWriter(const BlobStore& store, std::string temporary, int fd)
    : store_(store), temporary_(std::move(temporary)), fd_(fd) {}

BlobWriter::~BlobWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status BlobWriter::write(std::span<const std::byte> bytes) {
  MLXR_RETURN_IF_ERROR(write_whole(fd_, bytes, temporary_));
  hash_.update(bytes);
  size_bytes_ += bytes.size();
  return {};
}

Status BlobWriter::write(std::string_view text) {
  return write(std::as_bytes(std::span(text)));
}

Result<std::string> BlobWriter::commit(const std::string& expected) {
  std::string digest = "sha256:" + hash_.finish().hex();
  if (!expected.empty() && expected != digest) return mismatch(expected, digest);
  if (::fsync(fd_) != 0) return system_error(temporary_, "write");
  ::close(std::exchange(fd_, -1));
  if (::rename(temporary_.c_str(), store_.path(digest).c_str()) != 0) return system_error(temporary_, "rename");
  temporary_.clear();
  sync_folder(store_.folder());
  return digest;
}

// --- the store
// ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<BlobStore>> BlobStore::open(const std::string& models_folder) {
  std::error_code error;
  fs::create_directories(models_folder + "/blobs", error);
  if (error) return internal(fmt::format("{}/blobs: cannot make the folder: {}", models_folder, error.message()));
  return std::unique_ptr<BlobStore>(new BlobStore(models_folder));
}

std::string BlobStore::path(std::string_view digest) const {
  return folder() + "/" + blob_file_name(digest);
}

std::optional<std::uint64_t> BlobStore::size(std::string_view digest) const {
  const auto stamp = file_stamp(path(digest));
  if (!stamp || !stamp->is_file) return std::nullopt;
  return stamp->size_bytes;
}

bool BlobStore::reuse(std::string_view digest) {
  const auto lock = GarbageLock::take(models_folder_, LOCK_SH);
  if (!has(digest)) return false;
  // Newer than any lease from now on. A store that is not ours to write is not ours to clean either.
  ::utimensat(AT_FDCWD, path(digest).c_str(), nullptr, 0);
  return true;
}

Result<std::string> BlobStore::read_text(std::string_view digest, std::size_t max_bytes) const {
  return read_text_file(path(digest), max_bytes);
}

Result<std::unique_ptr<BlobWriter>> BlobStore::create() {
  std::string temporary = folder() + "/" + unique_name("blob");
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return system_error(temporary, "create");
  return std::unique_ptr<BlobWriter>(new BlobWriter(*this, std::move(temporary), fd));
}

Result<std::string> BlobStore::put(std::string_view bytes) {
  std::string digest = digest_of(bytes);
  if (reuse(digest)) return digest;
  MLXR_ASSIGN_OR_RETURN(const auto writer, create());
  MLXR_RETURN_IF_ERROR(writer->write(bytes));
  return writer->commit(digest);
}

Status BlobStore::adopt(const std::string& file, const std::string& digest, bool known_good) {
  if (!known_good) {
    MLXR_ASSIGN_OR_RETURN(const std::string actual, digest_of_file(file));
    if (actual != digest) return mismatch(digest, actual);
  }
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return system_error(file, "open");
  const bool synced = ::fsync(fd) == 0;
  ::close(fd);
  if (!synced) return system_error(file, "write");
  ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0);
  if (::rename(file.c_str(), path(digest).c_str()) != 0) return system_error(file, "move to the blobs");
  sync_folder(folder());
  return {};
}

Result<std::string> BlobStore::add_file(const std::string& file, const std::function<bool(std::uint64_t)>& progress) {
  const int source = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (source < 0) return system_error(file, "open");
  auto writer = create();
  std::vector<std::byte> buffer(kCopyBytes);
  Status status = writer.ok() ? Status() : writer.status();
  while (status.ok()) {
    const ssize_t got = ::read(source, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = system_error(file, "read");
    if (got <= 0) break;
    status = (*writer)->write(std::span(buffer).first(static_cast<std::size_t>(got)));
    if (status.ok() && progress && !progress((*writer)->size_bytes())) status = cancelled(file + ": cancelled");
  }
  ::close(source);
  if (!status.ok()) return status;
  return (*writer)->commit();
}

Status BlobStore::verify(const std::string& digest, const std::function<bool(std::uint64_t)>& progress) const {
  MLXR_ASSIGN_OR_RETURN(const std::string actual, digest_of_file(path(digest), progress));
  return actual == digest ? Status() : mismatch(digest, actual).with_context(path(digest));
}

Status BlobStore::remove(std::string_view digest) {
  if (::unlink(path(digest).c_str()) != 0) return system_error(path(digest), "remove");
  return {};
}

std::vector<BlobStore::Blob> BlobStore::list() const {
  std::vector<Blob> blobs;
  std::error_code error;
  for (fs::directory_iterator it(folder(), error), end; !error && it != end; it.increment(error)) {
    auto digest = parse_digest(it->path().filename().string());
    if (!digest.ok()) continue;
    const auto stamp = file_stamp(it->path().string());
    if (stamp && stamp->is_file) blobs.push_back({std::move(*digest), stamp->size_bytes, stamp->modified_ns});
  }
  std::sort(blobs.begin(), blobs.end(), [](const Blob& a, const Blob& b) { return a.digest < b.digest; });
  return blobs;
}

std::vector<BlobStore::Partial> BlobStore::partials() const {
  std::vector<Partial> partials;
  std::error_code error;
  for (fs::directory_iterator it(folder(), error), end; !error && it != end; it.increment(error)) {
    if (!is_partial_name(it->path().filename().string())) continue;
    const std::string path = it->path().string();
    if (const auto stamp = file_stamp(path)) partials.push_back({path, stamp->disk_bytes, stamp->modified_ns});
  }
  std::sort(partials.begin(), partials.end(), [](const Partial& a, const Partial& b) { return a.path < b.path; });
  return partials;
}

Result<std::unique_ptr<StoreLease>> BlobStore::lease() {
  const std::string leases = lease_folder(models_folder_);
  std::error_code error;
  fs::create_directories(leases, error);
  // Between making the file and locking it, it looks like one of the dead: not while this lock is held.
  MLXR_ASSIGN_OR_RETURN(const GarbageLock lock, GarbageLock::take(models_folder_, LOCK_SH));
  std::string path = leases + "/" + unique_name("lease");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return system_error(path, "create");
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const Status status = system_error(path, "lock");
    ::close(fd);
    return status;
  }
  return std::unique_ptr<StoreLease>(new StoreLease(std::move(path), fd));
}

bool BlobStore::in_use() const {
  const auto lock = GarbageLock::take(models_folder_, LOCK_EX);
  return lock.ok() && oldest_lease(models_folder_).has_value();
}

Result<BlobStore::Collected> BlobStore::collect(const std::function<Result<std::set<std::string>>()>& references,
                                                const CollectOptions& options) {
  MLXR_ASSIGN_OR_RETURN(const GarbageLock lock, GarbageLock::take(models_folder_, LOCK_EX));
  const auto lease_began = oldest_lease(models_folder_);
  MLXR_ASSIGN_OR_RETURN(const std::set<std::string> referenced, references());
  std::int64_t newest = now_ns() - options.min_age_s * 1'000'000'000;
  if (options.min_age_s == 0) newest = std::numeric_limits<std::int64_t>::max();
  if (lease_began) newest = std::min(newest, *lease_began - kClockSlackNs);
  Collected report;
  const auto remove_file = [&](const std::string& file, std::uint64_t bytes, std::uint64_t& count) {
    if (::unlink(file.c_str()) != 0) return;
    ++count;
    report.freed_bytes += bytes;
  };
  for (const Blob& blob : list()) {
    if (referenced.contains(blob.digest)) continue;
    if (options.only != nullptr &&
        std::find(options.only->begin(), options.only->end(), blob.digest) == options.only->end()) {
      continue;
    }
    if (blob.modified_ns > newest) {
      ++report.num_kept;
      continue;
    }
    remove_file(path(blob.digest), blob.size_bytes, report.num_blobs);
  }
  if (options.partials && !lease_began) {
    for (const Partial& partial : partials()) {
      if (partial.modified_ns > newest) continue;
      remove_file(partial.path, partial.size_bytes, report.num_partials);
    }
  }
  return report;
}

}  // namespace mlxr
