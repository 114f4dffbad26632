#include "core/base/secret.h"

#include <gtest/gtest.h>

namespace mlxr {
namespace {

TEST(Secret, KeptAndMoved) {
  Secret a("abc");
  EXPECT_TRUE(a.equals("abc"));
  EXPECT_FALSE(a.equals("abd"));
  EXPECT_FALSE(a.equals("abcd"));
  const Secret copy = a;
  const Secret moved = std::move(a);
  EXPECT_EQ(moved.reveal(), "abc");
  EXPECT_EQ(copy.reveal(), "abc");
  EXPECT_TRUE(a.empty());  // NOLINT: that a moved secret leaves nothing behind is what is tested
  Secret long_text(std::string(1000, 'x'));
  long_text = copy;
  EXPECT_EQ(long_text.reveal(), "abc");
  EXPECT_TRUE(Secret().empty());
}

TEST(EqualInConstantTime, Texts) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("a\xff", "a\xff"));
  EXPECT_FALSE(equal_in_constant_time("a", "b"));
  EXPECT_FALSE(equal_in_constant_time("a", ""));
}

}  // namespace
}  // namespace mlxr
