#pragma once
// GGUF bytes put together by hand, broken ones too: what no writer would write.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/byte_reader.h"
#include "core/io/file_bytes.h"

namespace mlxr::test {

// A copy in memory as a file of that name.
inline FileBytes file_of(const std::string& content, std::string path = "model.gguf") {
  const auto copy = std::make_shared<const std::string>(content);
  return {std::move(path), as_bytes(*copy), copy};
}

class GgufBytes {
 public:
  explicit GgufBytes(std::uint32_t version = 3) : version_(version) { raw("GGUF").u32(version); }

  GgufBytes& raw(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  template <class T>
  GgufBytes& value(T number) {
    return raw({reinterpret_cast<const char*>(&number), sizeof(number)});
  }
  GgufBytes& u32(std::uint32_t number) { return value(number); }
  GgufBytes& u64(std::uint64_t number) { return value(number); }
  // A count, length or dimension: 32 bits in version 1.
  GgufBytes& length(std::uint64_t number) {
    return version_ == 1 ? u32(static_cast<std::uint32_t>(number)) : u64(number);
  }
  GgufBytes& counts(std::uint64_t tensors, std::uint64_t keys) { return length(tensors).length(keys); }
  GgufBytes& string(std::string_view bytes) { return length(bytes.size()).raw(bytes); }
  // A key with the id of its value's type; the value follows.
  GgufBytes& key(std::string_view name, std::uint32_t type) { return string(name).u32(type); }
  // Dimensions in the file's order, innermost first.
  GgufBytes& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims, std::uint32_t type,
                    std::uint64_t offset) {
    string(name).u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims)
      length(dim);
    return u32(type).u64(offset);
  }
  GgufBytes& pad(std::size_t alignment = 32) {
    while (text_.size() % alignment != 0)
      text_ += '\0';
    return *this;
  }
  GgufBytes& data(std::size_t count) { return pad().raw(std::string(count, '\1')); }

  const std::string& text() const { return text_; }
  operator const std::string&() const { return text_; }  // NOLINT: reads as the bytes that it is

 private:
  std::uint32_t version_;
  std::string text_;
};

}  // namespace mlxr::test
