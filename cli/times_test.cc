#include "cli/times.h"

#include <gtest/gtest.h>

namespace mlxr::cli {
namespace {

TEST(Times, AreSaidAsDistances) {
  struct Case {
    std::int64_t time;
    const char* text;
  };
  const Case cases[] = {{1'000'000, "now"},
                        {999'999, "1 second ago"},
                        {1'000'300, "in 5 minutes"},
                        {1'000'000 - 3600, "1 hour ago"},
                        {1'000'000 - 86400 * 10, "10 days ago"},
                        {1'000'000 - 86400 * 21, "3 weeks ago"},
                        {1'000'000 - 86400 * 90, "3 months ago"}};
  for (const Case& c : cases)
    EXPECT_EQ(relative_time(c.time, 1'000'000), c.text);
}

TEST(Times, OfRfc3339AreRead) {
  EXPECT_EQ(parse_time("1970-01-02T00:00:00Z"), 86400);
  EXPECT_EQ(parse_time("2026-01-02T03:04:05.678901234Z"), 1767323045);
  EXPECT_EQ(parse_time("2026-01-02T04:04:05+01:00"), 1767323045);
  EXPECT_EQ(parse_time("2026-01-02"), std::nullopt);
  EXPECT_EQ(parse_time("2026-01-02T03:04:05Zx"), std::nullopt);
}

}  // namespace
}  // namespace mlxr::cli
