#include "core/runtime/tokenizer/sentencepiece.h"

#include <bit>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/byte_reader.h"
#include "core/io/json_file.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/stream_decoder.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_json.h"
#include "core/runtime/tokenizer/tokenizer_to_json.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

class SentencePieceModel : public ::testing::TestWithParam<const char*> {};

TEST_P(SentencePieceModel, MatchesSentencePiece) {
  const std::string dir = test::fixture(std::string("tokenizer/") + GetParam());
  const auto loaded = load_tokenizer(dir);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const auto golden = read_json_file(dir + "/golden.json");
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  for (const json& c : golden->at("cases")) {
    const std::string text = c.at("text").get<std::string>();
    const Ids ids = c.at("plain_ids").get<Ids>();
    EXPECT_EQ((*loaded)->encode(text, {.parse_special = false}), ids) << text;
    EXPECT_EQ((*loaded)->decode(ids), c.at("decoded").get<std::string>()) << text;
    StreamDecoder decoder(**loaded, {.skip_special = false});
    std::string streamed;
    for (const TokenId id : ids)
      streamed += decoder.push(id);
    EXPECT_EQ(streamed + decoder.flush(), c.at("decoded").get<std::string>()) << text;
  }
}

// Through GGUF and through tokenizer.json the ids stay the same.
TEST_P(SentencePieceModel, SurvivesTheOtherFormats) {
  const std::string dir = test::fixture(std::string("tokenizer/") + GetParam());
  const auto loaded = load_tokenizer(dir);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  Metadata metadata;
  ASSERT_TRUE(tokenizer_to_gguf(**loaded, 0, metadata).ok());
  const auto from_gguf = tokenizer_from_gguf(metadata);
  ASSERT_TRUE(from_gguf.ok()) << from_gguf.status().message();
  const auto written = tokenizer_to_json(**loaded);
  ASSERT_TRUE(written.ok()) << written.status().message();
  const auto from_json = tokenizer_from_json(*written, tokenizer_config_json(**loaded));
  ASSERT_TRUE(from_json.ok()) << from_json.status().message();
  const auto golden = read_json_file(dir + "/golden.json");
  for (const json& c : golden->at("cases")) {
    const std::string text = c.at("text").get<std::string>();
    // Where user-defined tokens stand, the others begin a text of their own after each.
    if (text.find("<sep>") != std::string::npos || text.find("ball") != std::string::npos) continue;
    const Ids ids = c.at("plain_ids").get<Ids>();
    EXPECT_EQ((*from_gguf)->encode(text, {.parse_special = false}), ids) << text;
    EXPECT_EQ((*from_json)->encode(text, {.parse_special = false}), ids) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, SentencePieceModel, ::testing::Values("spm-bytes", "spm-collapse", "spm-bare"),
                         [](const auto& suite) { return std::string(suite.param).substr(4); });

Token piece(const std::string& text, float score, TokenType type = TokenType::kNormal) {
  Token token;
  token.piece = text;
  token.score = score;
  token.type = type;
  return token;
}

SentencePieceSpec small_spec() {
  SentencePieceSpec spec;
  spec.tokens = {piece("<unk>", 0, TokenType::kUnknown),
                 piece("<s>", 0, TokenType::kControl),
                 piece("</s>", 0, TokenType::kControl),
                 piece("\xE2\x96\x81", -1),
                 piece("a", -2),
                 piece("b", -3),
                 piece("c", -4),
                 piece("ab", -0.5F, TokenType::kUnused),
                 piece("abc", -0.1F),
                 piece("<sep>", 0, TokenType::kUserDefined)};
  spec.special.unk = 0;
  spec.special.bos = 1;
  spec.special.eos = 2;
  return spec;
}

TEST(SentencePiece, TakesUnusedTokensApart) {
  const auto made = make_sentencepiece(small_spec());
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ((*made)->encode("ab"), (Ids{3, 4, 5}));
  EXPECT_EQ((*made)->encode("abc"), (Ids{3, 8}));  // an unused token may still be a step on the way
  EXPECT_EQ((*made)->encode("xyz"), (Ids{3, 0}));  // one unknown token for a run
}

TEST(SentencePiece, FindsUserDefinedAndControlTokens) {
  SentencePieceSpec spec = small_spec();
  const auto normalised = make_sentencepiece(spec);
  ASSERT_TRUE(normalised.ok());
  EXPECT_EQ((*normalised)->encode("<sep>a", {.parse_special = false}), (Ids{3, 9, 4}));
  EXPECT_EQ((*normalised)->encode("<s>a</s>"), (Ids{1, 3, 4, 2}));
  EXPECT_EQ((*normalised)->encode("a", {.add_special = true}), (Ids{1, 3, 4}));
  spec = small_spec();
  spec.user_defined_first = true;
  const auto first = make_sentencepiece(std::move(spec));
  EXPECT_EQ((*first)->encode("<sep>a", {.parse_special = false}), (Ids{9, 3, 4}));
}

TEST(SentencePiece, DropsTheSpaceInFrontOnlyAtTheStart) {
  const auto made = make_sentencepiece(small_spec());
  ASSERT_TRUE(made.ok());
  EXPECT_EQ((*made)->decode(Ids{3, 4, 3, 5}), "a b");
  EXPECT_EQ((*made)->token_bytes(3), " ");
  StreamDecoder start(**made);
  EXPECT_EQ(start.push(3), "");
  EXPECT_EQ(start.push(4), "a");
  StreamDecoder middle(**made, {.at_start = false});
  EXPECT_EQ(middle.push(3), " ");
  EXPECT_EQ(middle.push(4), "a");
  EXPECT_EQ(middle.push(2), "");  // special
}

TEST(SentencePiece, StrayBytesBecomeByteTokens) {
  const auto loaded = load_tokenizer(test::fixture("tokenizer/spm-bytes"));
  ASSERT_TRUE(loaded.ok());
  const std::string text = "a\xFF\xE4\xBD z";
  EXPECT_EQ((*loaded)->decode((*loaded)->encode(text)), text);
}

// ---- the file

std::string field(unsigned number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  for (std::size_t n = bytes.size();; n >>= 7) {
    out += static_cast<char>(n > 0x7F ? (n & 0x7F) | 0x80 : n);
    if (n <= 0x7F) break;
  }
  return out + bytes;
}

std::string varint_field(unsigned number, unsigned value) {
  std::string out;
  for (unsigned key = number << 3;; key >>= 7) {
    out += static_cast<char>(key > 0x7F ? (key & 0x7F) | 0x80 : key);
    if (key <= 0x7F) break;
  }
  return out + static_cast<char>(value);
}

std::string piece_field(const std::string& text, unsigned type) {
  return field(1, field(1, text) + std::string("\x15\0\0\x80\x3f", 5) + varint_field(3, type));
}

TEST(SentencePieceFile, RefusesWithOneLine) {
  const std::string pieces = piece_field("<unk>", 2) + piece_field("a", 1);
  const std::string bpe = field(2, varint_field(3, 2) + varint_field(41, 1) + varint_field(42, 1));
  struct Case {
    std::string bytes;
    StatusCode code;
    const char* fragment;
  };
  const std::vector<Case> cases = {
      {pieces, StatusCode::kUnsupported, "Unigram"},
      {pieces + field(2, varint_field(3, 3)), StatusCode::kUnsupported, "word"},
      {pieces + field(2, varint_field(3, 9)), StatusCode::kUnsupported, "type ?"},
      {pieces + bpe + field(3, field(1, "nmt_nfkc") + field(2, "xyz")), StatusCode::kUnsupported, "\"nmt_nfkc\""},
      {pieces + field(2, varint_field(3, 2) + varint_field(24, 1)), StatusCode::kUnsupported, "suffix"},
      {pieces + bpe + field(3, varint_field(5, 0)), StatusCode::kUnsupported, "escaped"},
      {pieces + field(2, varint_field(3, 2) + varint_field(41, 99)), StatusCode::kCorrupt, "special token 99"},
      {bpe, StatusCode::kCorrupt, "no SentencePiece pieces"},
      {piece_field("a", 7), StatusCode::kCorrupt, "unknown type 7"},
      {pieces + "\x0A\x7F", StatusCode::kCorrupt, "past the end at byte"},
      {pieces + "\x0A", StatusCode::kCorrupt, "ends inside a number at byte"},
      {pieces + "\x0B", StatusCode::kCorrupt, "unknown wire type at byte"},
      {pieces + std::string("\x02\x00", 2), StatusCode::kCorrupt, "bad field number"},
      {pieces + std::string(11, '\xFF'), StatusCode::kCorrupt, "more than ten bytes"},
      {pieces + "\x09zz", StatusCode::kCorrupt, "past the end"},
  };
  for (const Case& c : cases) {
    const auto loaded = tokenizer_from_sentencepiece(as_bytes(c.bytes), "x.model");
    ASSERT_FALSE(loaded.ok()) << c.fragment;
    EXPECT_EQ(loaded.status().code(), c.code) << loaded.status().message();
    EXPECT_NE(loaded.status().message().find(c.fragment), std::string::npos) << loaded.status().message();
    EXPECT_EQ(loaded.status().message().rfind("x.model: ", 0), 0u) << loaded.status().message();
  }
  const std::string whole = pieces + bpe;
  const auto loaded = tokenizer_from_sentencepiece(as_bytes(whole), "x.model");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->vocab_size(), 2u);
}

}  // namespace
}  // namespace mlxr
