#include "core/runtime/tokenizer/protobuf.h"

#include <bit>
#include <cstring>

#include <fmt/core.h>

namespace mlxr {

float ProtoField::as_float() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value));
}

Status ProtoReader::broken(const char* what) const {
  return corrupt(fmt::format("{} at byte {}", what, base_ + at_));
}

Result<std::uint64_t> ProtoReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == bytes_.size()) return broken("the file ends inside a number");
    const auto byte = static_cast<unsigned char>(bytes_[at_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return broken("a number has more than ten bytes");
}

Result<ProtoField> ProtoReader::next() {
  ProtoField field;
  MLXR_ASSIGN_OR_RETURN(const std::uint64_t key, varint());
  if (key >> 3 == 0 || key >> 32 != 0) return broken("bad field number");
  field.number = static_cast<std::uint32_t>(key >> 3);
  field.wire = static_cast<ProtoField::Wire>(key & 7);
  std::size_t width = 0;
  switch (field.wire) {
    case ProtoField::Wire::kVarint: {
      MLXR_ASSIGN_OR_RETURN(field.value, varint());
      return field;
    }
    case ProtoField::Wire::kFixed64:
      width = 8;
      break;
    case ProtoField::Wire::kFixed32:
      width = 4;
      break;
    case ProtoField::Wire::kBytes: {
      MLXR_ASSIGN_OR_RETURN(const std::uint64_t length, varint());
      if (length > bytes_.size() - at_) return broken("a field runs past the end");
      field.bytes = bytes_.substr(at_, static_cast<std::size_t>(length));
      at_ += field.bytes.size();
      return field;
    }
    default:
      return broken("unknown wire type");
  }
  if (width > bytes_.size() - at_) return broken("a field runs past the end");
  std::memcpy(&field.value, bytes_.data() + at_, width);
  at_ += width;
  return field;
}

std::size_t ProtoReader::offset_of(const ProtoField& field) const {
  return base_ + static_cast<std::size_t>(field.bytes.data() - bytes_.data());
}

}  // namespace mlxr
