// A line of a record of requests: any bytes are read or refused, and what was read is written and read to the same.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/telemetry/request_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto record = mlxr::parse_record(line);
  if (!record.ok()) return 0;
  const std::string written = mlxr::record_line(*record);
  const auto again = mlxr::parse_record(written);
  if (!again.ok() || mlxr::record_line(*again) != written) std::abort();
  return 0;
}
