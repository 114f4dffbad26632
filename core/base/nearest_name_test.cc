#include "core/base/nearest_name.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("inpsect", "inspect"), 1);
  EXPECT_EQ(edit_distance("run", "run"), 0);
}

TEST(NearestName, OnlyWhatIsNear) {
  const std::vector<std::string> names = {"run", "inspect", "tokenize", "detokenize"};
  EXPECT_EQ(nearest_name("inpsect", names), "inspect");
  EXPECT_EQ(nearest_name("tokenise", names), "tokenize");
  EXPECT_EQ(nearest_name("serve", names), "");
  EXPECT_EQ(nearest_name(std::string(1000, 'a'), names), "");
}

}  // namespace
}  // namespace mlxr
