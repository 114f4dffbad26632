#include <gtest/gtest.h>

#include "core/runtime/spec/draft_model.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

TEST(DraftVocabularyTest, NamesTheFirstTokenThatDiffers) {
  const auto sprout = load_tokenizer(test::fixture("tokenizer/sprout"));
  const auto other = load_tokenizer(test::fixture("tokenizer/metaspace"));
  ASSERT_TRUE(sprout.ok() && other.ok());
  EXPECT_TRUE(check_draft_vocabulary(**sprout, **sprout).ok());
  const Status status = check_draft_vocabulary(**sprout, **other);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(status.message().starts_with("the draft model has another vocabulary: token ")) << status.message();
}

}  // namespace
}  // namespace mlxr
