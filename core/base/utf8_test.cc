#include "core/base/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

TEST(Utf8, EncodesAndDecodesEveryCharacter) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Char back = decode_utf8(text);
    ASSERT_EQ(back.state, Utf8State::kValid);
    ASSERT_EQ(back.code_point, c);
    ASSERT_EQ(back.length, text.size());
    for (std::size_t n = 1; n < text.size(); ++n) {
      ASSERT_EQ(decode_utf8(std::string_view(text).substr(0, n)).state, Utf8State::kIncomplete);
      ASSERT_EQ(complete_utf8_prefix(std::string_view(text).substr(0, n)), 0u);
    }
  }
}

TEST(Utf8, ReplacesOneMaximalSubpartAtATime) {
  const std::string r = "\xEF\xBF\xBD";
  // The example of the Unicode standard, table 3-8, and its neighbours.
  EXPECT_EQ(to_valid_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), r + r);                  // overlong
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(to_valid_utf8("ok \xE2\x82"), "ok " + r);
  EXPECT_EQ(to_valid_utf8("plain"), "plain");
}

TEST(Utf8, FindsTheValidAndTheCompletePrefix) {
  EXPECT_EQ(valid_utf8_prefix("0123456789abcdef\xFFz"), 16u);
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("\xF0\x9F\x98\x80 and more than eight bytes"));
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98"), 1u);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98\x80"), 5u);
  EXPECT_EQ(complete_utf8_prefix("a\xFF"), 2u);      // never valid: nothing to wait for
  EXPECT_EQ(complete_utf8_prefix("a\x80\x80"), 3u);  // stray continuations
  EXPECT_EQ(complete_utf8_prefix("\x80\x80\x80\x80"), 4u);
  EXPECT_EQ(complete_utf8_prefix("\xED\xA0"), 2u);  // already certain
}

TEST(Utf8, KnowsWhiteSpace) {
  int count = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c)
    count += is_white_space(c) ? 1 : 0;
  EXPECT_EQ(count, 25);  // PropList.txt of Unicode 15
  EXPECT_FALSE(is_white_space(0x180E));
}

}  // namespace
}  // namespace mlxr
