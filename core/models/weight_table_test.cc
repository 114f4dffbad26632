#include "core/models/weight_table.h"

#include <gtest/gtest.h>

namespace mlxr {
namespace {

constexpr TensorRow kRows[] = {
    {"output", "lm_head"},
    {"blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", RowOrder::kQueryHeads},
};

TEST(WeightTable, SpellsNamesOfEachKind) {
  EXPECT_EQ(tensor_stem(kRows[0], Naming::kGguf, -1), "output");
  EXPECT_EQ(tensor_stem(kRows[1], Naming::kGguf, 12), "blk.12.attn_q");
  EXPECT_EQ(tensor_stem(kRows[1], Naming::kHuggingFace, 0), "model.layers.0.self_attn.q_proj");
}

TEST(WeightTable, MatchesWholeNamesOnly) {
  const auto match = match_tensor(kRows, Naming::kHuggingFace, "model.layers.31.self_attn.q_proj.bias");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->row, &kRows[1]);
  EXPECT_EQ(match->layer, 31);
  EXPECT_EQ(match->suffix, "bias");
  EXPECT_EQ(match_tensor(kRows, Naming::kGguf, "output.weight")->layer, -1);
  for (const char* name :
       {"blk.x.attn_q.weight", "blk..attn_q.weight", "blk.-1.attn_q.weight", "blk.01.attn_q.weight", "blk.1.attn_q",
        "blk.1.attn_q.scale", "blk.1.attn_qq.weight", "output", "", "blk.99999999999999999999.attn_q.weight"}) {
    EXPECT_FALSE(match_tensor(kRows, Naming::kGguf, name)) << name;
  }
}

}  // namespace
}  // namespace mlxr
