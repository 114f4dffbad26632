#pragma once
// A bounded reader of the protocol buffer wire format: the fields of one message, in place, without a schema.
// Source: protobuf.dev, Encoding.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace mlxr {

struct ProtoField {
  enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  std::uint32_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;  // of a varint or a fixed-width field
  std::string_view bytes;   // of a length-delimited one

  bool truth() const { return value != 0; }
  float as_float() const;  // of a 32-bit field
  std::int32_t as_int32() const { return static_cast<std::int32_t>(static_cast<std::uint32_t>(value)); }
};

class ProtoReader {
 public:
  // `base` is the offset of `bytes` in the file, for errors.
  explicit ProtoReader(std::string_view bytes, std::size_t base = 0) : bytes_(bytes), base_(base) {}

  bool done() const { return at_ == bytes_.size(); }
  // The next field; kCorrupt with the offset when the bytes break the format. Groups are refused.
  Result<ProtoField> next();
  // Offset in the file of the bytes of a field of this message.
  std::size_t offset_of(const ProtoField& field) const;

 private:
  Result<std::uint64_t> varint();
  Status broken(const char* what) const;

  std::string_view bytes_;
  std::size_t base_;
  std::size_t at_ = 0;
};

}  // namespace mlxr
