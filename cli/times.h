#pragma once
// Times as people say them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlxr::cli {

// "4 minutes ago", "2 days ago", "in 5 minutes", "now"; both in seconds since 1970.
std::string relative_time(std::int64_t time, std::int64_t now);
// RFC 3339 ("2026-01-02T03:04:05.678Z", "...+01:00") to seconds since 1970; nullopt: it is not.
std::optional<std::int64_t> parse_time(std::string_view text);

}  // namespace mlxr::cli
