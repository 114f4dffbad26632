#include "cli/progress.h"

#include <cstdio>

#include <gtest/gtest.h>

namespace mlxr::cli {
namespace {

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  const ProgressOptions options{.label = "Reading", .total = 200 << 20, .unit = ProgressUnit::kBytes};
  EXPECT_EQ(progress_line(options, 50 << 20, 2.0, 100),
            "Reading [======                  ]  25%  50.0 MiB/200 MiB  25.0 MiB/s  0:06 left");
}

TEST(ProgressLine, BeforeTheFirstUnitThereIsNoRate) {
  EXPECT_EQ(progress_line({.label = "x", .total = 10}, 0, 1.0, 100), "x [                        ]   0%  0/10");
}

TEST(ProgressLine, UnknownTotal) {
  EXPECT_EQ(progress_line({.label = "Tokens", .unit = ProgressUnit::kTokens}, 300, 2.0, 100), "Tokens  300  150 tok/s");
}

TEST(ProgressLine, NarrowTerminalsDropTheBarThenTheEnd) {
  const ProgressOptions options{.label = "Reading", .total = 100};
  EXPECT_EQ(progress_line(options, 50, 1.0, 50), "Reading  50%  50/100  50/s  0:01 left");
  EXPECT_EQ(progress_line(options, 50, 1.0, 12), "Reading  50…");
}

TEST(ProgressLine, MoreThanTheTotalIsTheTotal) {
  EXPECT_EQ(progress_line({.label = "x", .total = 10}, 25, 1.0, 20), "x 100%  10/10  10/s…");
}

TEST(Progress, SilentWhereThereIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress({.label = "x", .total = 10}, file);
    progress.update(5);
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

}  // namespace
}  // namespace mlxr::cli
