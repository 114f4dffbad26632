#pragma once
// The JSON header of a safetensors file as a list of entries, before any range is checked.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;          // outermost first, none negative
  std::vector<std::uint64_t> data_offsets;  // {begin, end} from the start of the data
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the header's order; every entry has all three fields
  std::map<std::string, std::string> metadata;
};

// kCorrupt, without the file's path, for broken JSON and for anything but the fields of the format. `text_offset` is
// where the text starts in its file.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view text, std::size_t text_offset);

}  // namespace mlxr
