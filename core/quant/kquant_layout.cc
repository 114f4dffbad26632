#include "core/quant/kquant.h"

namespace mlxr {

ScaleMins unpack_scale_mins(const std::uint8_t (&packed)[12]) {
  ScaleMins values;
  for (std::size_t s = 0; s < 4; ++s) {
    values.scale[s] = packed[s] & 63;
    values.min[s] = packed[s + 4] & 63;
    values.scale[s + 4] = static_cast<std::uint8_t>((packed[s + 8] & 15) | ((packed[s] >> 6) << 4));
    values.min[s + 4] = static_cast<std::uint8_t>((packed[s + 8] >> 4) | ((packed[s + 4] >> 6) << 4));
  }
  return values;
}

void pack_scale_mins(const ScaleMins& values, std::uint8_t (&packed)[12]) {
  for (std::size_t s = 0; s < 4; ++s) {
    packed[s] = static_cast<std::uint8_t>(values.scale[s] | ((values.scale[s + 4] >> 4) << 6));
    packed[s + 4] = static_cast<std::uint8_t>(values.min[s] | ((values.min[s + 4] >> 4) << 6));
    packed[s + 8] = static_cast<std::uint8_t>((values.scale[s + 4] & 15) | ((values.min[s + 4] & 15) << 4));
  }
}

Scales16 unpack_q3_scales(const std::uint8_t (&packed)[12]) {
  Scales16 values;
  for (std::size_t s = 0; s < 16; ++s) {
    const int low = (packed[s % 8] >> (4 * (s / 8))) & 15;
    const int high = (packed[8 + s % 4] >> (2 * (s / 4))) & 3;
    values.scale[s] = static_cast<std::uint8_t>(low | (high << 4));
  }
  return values;
}

void pack_q3_scales(const Scales16& values, std::uint8_t (&packed)[12]) {
  for (std::uint8_t& byte : packed)
    byte = 0;
  for (std::size_t s = 0; s < 16; ++s) {
    packed[s % 8] = static_cast<std::uint8_t>(packed[s % 8] | ((values.scale[s] & 15) << (4 * (s / 8))));
    packed[8 + s % 4] = static_cast<std::uint8_t>(packed[8 + s % 4] | ((values.scale[s] >> 4) << (2 * (s / 4))));
  }
}

}  // namespace mlxr
