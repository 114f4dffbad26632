#include "daemon/registry/transfer/part_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string_view>

#include <fmt/core.h>

#include "core/base/atomic_file.h"
#include "core/base/check.h"
#include "core/runtime/kv/block_hash.h"

namespace mlxr {
namespace {

// The file: magic, then 64 bytes that name key and boot, then the number of parts, then records of four numbers.
// Numbers are 8 bytes, least significant first, and aligned.
constexpr std::string_view kMagic = "MLXRPRT1";
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kHeaderBytes = 8 + kHashBytes + kHashBytes + 8;
constexpr std::size_t kRecordBytes = 32;
constexpr std::size_t kDoneField = 2;
constexpr std::size_t kSyncedField = 3;
constexpr std::size_t kMaxParts = 4096;

using Number = std::array<char, 8>;

Number bytes_of(std::uint64_t value) {
  Number bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

std::uint64_t number_at(std::string_view text, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;)
    value = (value << 8) | static_cast<unsigned char>(text[offset + i]);
  return value;
}

void append(std::string& text, std::uint64_t value) {
  const Number bytes = bytes_of(value);
  text.append(bytes.data(), bytes.size());
}

std::string hash_text(std::string_view text) {
  Sha256 hash;
  hash.update_field(text);
  const BlockHash result = hash.finish();
  return {reinterpret_cast<const char*>(result.bytes.data()), result.bytes.size()};
}

std::string key_hash(const PartTableKey& key) {
  return hash_text(fmt::format("{}\n{}", key.size, key.validator));
}

// Changes with each start of the machine; where the system does not say, every process is a start of its own.
std::string boot_hash() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!std::getline(in, id) || id.empty()) id = fmt::format("process {}", ::getpid());
  return hash_text(id);
}

std::string whole_file(const std::string& path, std::size_t max_bytes) {
  std::ifstream in(path, std::ios::binary);
  std::string text(max_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// Whether the parts tile [0, size).
bool covers(std::vector<Part> parts, std::uint64_t size) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.offset < b.offset; });
  std::uint64_t end = 0;
  for (const Part& part : parts) {
    if (part.offset != end || part.size == 0 || part.size > size - end || part.done > part.size) return false;
    end += part.size;
  }
  return end == size;
}

}  // namespace

std::vector<Part> PartTable::plan(std::uint64_t size, std::uint64_t min_bytes, std::uint64_t max_bytes, int max_parts) {
  MLXR_CHECK(min_bytes > 0 && max_bytes >= min_bytes && max_parts > 0, "sizes of parts that make no sense");
  const auto wanted = static_cast<std::uint64_t>(max_parts);
  const std::uint64_t least = size / (kMaxParts / 2) + 1;  // a file of any length fits the table
  const std::uint64_t part_bytes =
      std::max(std::clamp(size / wanted + (size % wanted != 0), min_bytes, max_bytes), least);
  std::vector<Part> parts;
  for (std::uint64_t offset = 0; offset < size;) {
    const std::uint64_t bytes = std::min(part_bytes, size - offset);
    parts.push_back({.offset = offset, .size = bytes, .done = 0});
    offset += bytes;
  }
  return parts;
}

PartTable::~PartTable() {
  close();
}

void PartTable::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool PartTable::load(const PartTableKey& key) {
  close();
  parts_.clear();
  synced_.clear();
  key_ = key;
  const std::string text = whole_file(path_, kHeaderBytes + kMaxParts * kRecordBytes);
  if (text.size() < kHeaderBytes || !text.starts_with(kMagic) || text.substr(8, kHashBytes) != key_hash(key)) {
    return false;
  }
  const bool same_boot = text.substr(8 + kHashBytes, kHashBytes) == boot_hash();
  const std::uint64_t count = number_at(text, kHeaderBytes - 8);
  if (count == 0 || count > kMaxParts || text.size() != kHeaderBytes + count * kRecordBytes) return false;
  std::vector<Part> parts(count);
  std::vector<std::uint64_t> synced(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = kHeaderBytes + i * kRecordBytes;
    parts[i] = {.offset = number_at(text, at), .size = number_at(text, at + 8), .done = number_at(text, at + 16)};
    synced[i] = std::min(number_at(text, at + 24), parts[i].done);
    if (!same_boot) parts[i].done = synced[i];
  }
  if (!covers(parts, key.size)) return false;
  parts_ = std::move(parts);
  synced_ = std::move(synced);
  // Written anew: the counts are now those of this boot.
  return save().ok();
}

Status PartTable::reset(const PartTableKey& key, std::vector<Part> parts) {
  MLXR_CHECK(parts.size() <= kMaxParts, "more parts than a table holds");
  key_ = key;
  parts_ = std::move(parts);
  synced_.assign(parts_.size(), 0);
  return save();
}

Status PartTable::save() {
  std::string text(kMagic);
  text += key_hash(key_);
  text += boot_hash();
  append(text, parts_.size());
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    append(text, parts_[i].offset);
    append(text, parts_[i].size);
    append(text, parts_[i].done);
    append(text, synced_[i]);
  }
  MLXR_RETURN_IF_ERROR(write_file_atomically(path_, text));
  return open_for_counts();
}

Status PartTable::open_for_counts() {
  close();
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ >= 0) return {};
  return internal(fmt::format("{}: {}", path_, std::strerror(errno)));
}

Status PartTable::write_count(std::size_t part, std::size_t field, std::uint64_t value) {
  const Number bytes = bytes_of(value);
  const auto at = static_cast<off_t>(kHeaderBytes + part * kRecordBytes + field * 8);
  ssize_t written = 0;
  do {
    written = ::pwrite(fd_, bytes.data(), bytes.size(), at);
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(bytes.size())) return {};
  const int error = written < 0 ? errno : ENOSPC;
  const auto code = error == ENOSPC || error == EDQUOT ? StatusCode::kResourceExhausted : StatusCode::kInternal;
  return {code, fmt::format("{}: {}", path_, std::strerror(error))};
}

Status PartTable::advance(std::size_t part, std::uint64_t bytes) {
  MLXR_CHECK(bytes <= parts_[part].left(), "more bytes than the part has");
  parts_[part].done += bytes;
  return write_count(part, kDoneField, parts_[part].done);
}

Status PartTable::restart(std::size_t part) {
  parts_[part].done = 0;
  synced_[part] = 0;
  MLXR_RETURN_IF_ERROR(write_count(part, kSyncedField, 0));
  return write_count(part, kDoneField, 0);
}

Status PartTable::split(std::size_t part, std::uint64_t tail_bytes) {
  Part& front = parts_[part];
  MLXR_CHECK(tail_bytes > 0 && tail_bytes <= front.left() && tail_bytes < front.size, "nothing to split off");
  if (parts_.size() >= kMaxParts) return {};
  front.size -= tail_bytes;
  const std::uint64_t offset = front.offset + front.size;
  parts_.push_back({.offset = offset, .size = tail_bytes, .done = 0});
  synced_.push_back(0);
  return save();
}

Status PartTable::mark_synced() {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (synced_[i] == parts_[i].done) continue;
    synced_[i] = parts_[i].done;
    MLXR_RETURN_IF_ERROR(write_count(i, kSyncedField, synced_[i]));
  }
  return {};
}

void PartTable::remove() {
  close();
  ::unlink(path_.c_str());
}

std::uint64_t PartTable::done_bytes() const {
  return std::accumulate(parts_.begin(), parts_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Part& part) { return sum + part.done; });
}

bool PartTable::complete() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.left() == 0; });
}

}  // namespace mlxr
