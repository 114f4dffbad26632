#pragma once
// A bounded little-endian cursor over the bytes of a file. Every read names what it reads, so that an error can say
// which field at which offset runs past the end. Errors are kCorrupt and do not name the file: the caller adds it.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/status.h"

namespace mlxr {

static_assert(std::endian::native == std::endian::little,
              "file formats are read in place: little-endian machines only");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t size() const { return bytes_.size(); }
  std::size_t remaining() const { return bytes_.size() - offset_; }

  template <class T>
  Result<T> read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (remaining() < sizeof(T)) return past_end(what, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  // The next `count` bytes, in place.
  Result<std::span<const std::byte>> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) return past_end(what, count);
    const auto taken = bytes_.subspan(offset_, static_cast<std::size_t>(count));
    offset_ += taken.size();
    return taken;
  }

 private:
  // "WHAT (N bytes) at offset O runs past the end of the file (S bytes)"
  Status past_end(std::string_view what, std::uint64_t count) const;

  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
};

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// A name from a file, fit for one line of an error: in double quotes, control characters and quotes escaped, and cut
// with "..." when it is long.
std::string quote_name(std::string_view name);

}  // namespace mlxr
