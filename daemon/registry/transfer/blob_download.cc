#include "daemon/registry/transfer/blob_download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include "core/base/check.h"
#include "daemon/registry/blob_store.h"
#include "daemon/registry/digest.h"
#include "daemon/registry/transfer/part_table.h"
#include "daemon/registry/transfer/range_fetcher.h"

namespace mlxr {
namespace {

constexpr std::chrono::milliseconds kLockPoll{200};

Status file_error(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return {full ? StatusCode::kResourceExhausted : StatusCode::kInternal,
          fmt::format("{}: {}", path, std::strerror(error))};
}

// The sparse data file, open and locked.
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)) {}
  ~PartialFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

  // False: another process has it.
  Result<bool> try_lock() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return file_error(path_, errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return false;
      return file_error(path_, errno);
    }
    // Whoever held it may have renamed it to the blob in the meantime.
    struct stat mine = {};
    struct stat there = {};
    return ::fstat(fd_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
  }

  bool has_length(std::uint64_t size) const {
    struct stat info = {};
    return ::fstat(fd_, &info) == 0 && static_cast<std::uint64_t>(info.st_size) == size;
  }

  // Nothing but a hole of this length.
  Status clear(std::uint64_t size) const {
    if (::ftruncate(fd_, 0) != 0 || ::ftruncate(fd_, static_cast<off_t>(size)) != 0) return file_error(path_, errno);
    return {};
  }

 private:
  std::string path_;
  int fd_ = -1;
};

class Downloader {
 public:
  explicit Downloader(const BlobDownload& download)
      : download_(download),
        final_path_(download.store.path(download.spec.digest)),
        partial_(final_path_ + "-partial"),
        table_(final_path_ + "-parts") {}

  Status run();

 private:
  Status look_for_blob(bool* have_blob);
  Status wait_for_lock(bool* have_blob);
  Status check_length(const BlobAddress& address) const;
  Status prepare(const BlobAddress& address);
  Status check_space(std::uint64_t wanted) const;
  Status fetch();
  Status finish();
  Status disk_full(const Status& status) const;

  const BlobDownload& download_;
  std::string final_path_;
  PartialFile partial_;
  PartTable table_;
};

// Whether the blob is there already. One of a wrong length is removed when it is broken.
Status Downloader::look_for_blob(bool* have_blob) {
  const std::string& digest = download_.spec.digest;
  // With reuse() it cannot be collected as garbage before a manifest names it.
  *have_blob = download_.store.reuse(digest);
  if (!*have_blob || download_.store.size(digest) == download_.spec.size) return {};
  if (download_.store.verify(digest).ok()) {
    return corrupt(
        fmt::format("{}: the manifest says {} bytes, and that is not its length", digest, download_.spec.size));
  }
  *have_blob = false;
  return download_.store.remove(digest);
}

Status Downloader::wait_for_lock(bool* have_blob) {
  while (true) {
    MLXR_RETURN_IF_ERROR(look_for_blob(have_blob));
    if (*have_blob) return {};
    MLXR_ASSIGN_OR_RETURN(const bool locked, partial_.try_lock());
    if (locked) break;
    if (!download_.cancel.wait_for(kLockPoll)) return cancelled("cancelled");
  }
  MLXR_RETURN_IF_ERROR(look_for_blob(have_blob));
  if (*have_blob) ::unlink(partial_.path().c_str());
  return {};
}

Status Downloader::check_length(const BlobAddress& address) const {
  if (address.size == download_.spec.size) return {};
  return corrupt(fmt::format("{}: the server has {} bytes where the manifest says {}", download_.spec.digest,
                             address.size, download_.spec.size));
}

// The table of an earlier try where it fits, otherwise a new one.
Status Downloader::prepare(const BlobAddress& address) {
  const PartTableKey key{.size = address.size, .validator = address.validator};
  const bool resumes = table_.load(key) && partial_.has_length(address.size);
  if (!resumes) {
    const TransferSettings& settings = download_.settings;
    const std::uint64_t whole = address.size;
    auto parts = address.has_ranges
                     ? PartTable::plan(whole, settings.min_part_bytes, settings.max_part_bytes, settings.max_parts)
                     : PartTable::plan(whole, whole, whole, 1);
    // The table goes first: a table beside other data than its own is what must never be.
    table_.remove();
    MLXR_RETURN_IF_ERROR(partial_.clear(whole));
    MLXR_RETURN_IF_ERROR(table_.reset(key, std::move(parts)));
  } else if (!address.has_ranges) {
    // Parts that a server without ranges cannot serve.
    MLXR_RETURN_IF_ERROR(table_.reset(key, PartTable::plan(address.size, address.size, address.size, 1)));
  }
  download_.on_progress(table_.done_bytes());
  return check_space(address.size - table_.done_bytes());
}

// Hours of downloading are better not begun when their end is known. What others write meanwhile is not.
Status Downloader::check_space(std::uint64_t wanted) const {
  struct statvfs disk = {};
  if (::fstatvfs(partial_.fd(), &disk) != 0) return {};
  const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (wanted <= free_bytes) return {};
  return resource_exhausted(fmt::format("{} bytes are missing and {} are free", wanted, free_bytes));
}

Status Downloader::fetch() {
  for (int num_failed = 1;; ++num_failed) {
    MLXR_ASSIGN_OR_RETURN(BlobAddress address, download_.source.locate(download_.cancel));
    MLXR_RETURN_IF_ERROR(check_length(address));
    MLXR_RETURN_IF_ERROR(prepare(address));
    MLXR_ASSIGN_OR_RETURN(const FetchOutcome outcome, fetch_parts({.fd = partial_.fd(),
                                                                   .table = table_,
                                                                   .source = download_.source,
                                                                   .address = std::move(address),
                                                                   .budget = download_.budget,
                                                                   .settings = download_.settings,
                                                                   .http = download_.http,
                                                                   .cancel = download_.cancel,
                                                                   .on_progress = download_.on_progress}));
    if (outcome == FetchOutcome::kComplete) return {};
    if (num_failed >= download_.settings.max_tries) {
      return internal(fmt::format("{}: the file on the server keeps changing", download_.spec.digest));
    }
    if (!download_.cancel.wait_for(download_.http.backoff(num_failed))) return cancelled("cancelled");
  }
}

Status Downloader::finish() {
  download_.on_verifying();
  auto digest = digest_of_file(partial_.path(), [&](std::uint64_t) { return !download_.cancel.cancelled(); });
  if (!digest.ok()) return digest.status();
  if (*digest != download_.spec.digest) {
    ::unlink(partial_.path().c_str());
    table_.remove();
    return corrupt(
        fmt::format("digest mismatch, expected \"{}\", got \"{}\": the file was removed and must be "
                    "downloaded again",
                    download_.spec.digest, *digest));
  }
  MLXR_RETURN_IF_ERROR(download_.store.adopt(partial_.path(), download_.spec.digest, true));
  table_.remove();
  return {};
}

Status Downloader::disk_full(const Status& status) const {
  return resource_exhausted(fmt::format("no space for {} bytes in {} ({}); what was downloaded is kept",
                                        download_.spec.size, download_.store.folder(), status.message()));
}

Status Downloader::run() {
  bool have_blob = false;
  MLXR_RETURN_IF_ERROR(wait_for_lock(&have_blob));
  if (have_blob) {
    download_.on_progress(download_.spec.size);
    return {};
  }
  if (download_.spec.size == 0) {
    MLXR_RETURN_IF_ERROR(partial_.clear(0));
    return finish();
  }
  Status fetched = fetch();
  // What the lock alone made is of no use to a later pull.
  if (!fetched.ok() && ::access(table_.path().c_str(), F_OK) != 0) ::unlink(partial_.path().c_str());
  if (fetched.code() == StatusCode::kResourceExhausted) return disk_full(fetched);
  MLXR_RETURN_IF_ERROR(std::move(fetched));
  return finish();
}

}  // namespace

Status download_blob(const BlobDownload& download) {
  Downloader downloader(download);
  return downloader.run();
}

}  // namespace mlxr
