// Pre-tokenizers and normalizers against the Python package tokenizers (scripts/make_tokenizer_golden.py).

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/tokenizer/byte_alphabet.h"
#include "core/runtime/tokenizer/pretokenizer_names.h"
#include "core/runtime/tokenizer/tokenizer_json_steps.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;

std::vector<std::string> cut(const PreTokenizer& pre_tokenizer, bool byte_level, const std::string& text) {
  PreTokenizer::Scratch scratch(pre_tokenizer);
  const PreTokenizer::Pieces pieces = pre_tokenizer.apply(text, true, scratch);
  std::vector<std::string> out;
  for (const TextRange range : pieces.ranges) {
    const std::string piece = pieces.text.substr(range.begin, range.end - range.begin);
    out.push_back(byte_level && !pieces.in_byte_alphabet ? to_byte_alphabet(piece) : piece);
  }
  return out;
}

const json& golden() {
  static const Result<json> file = read_json_file(test::fixture("tokenizer/steps.json"));
  return *file;
}

TEST(PreTokenizer, CutsLikeTokenizers) {
  int rows = 0;
  for (const json& entry : golden().at("pre_tokenizers")) {
    const std::string name = entry.at("name").get<std::string>();
    PreTokenizer pre_tokenizer;
    bool byte_level = false;
    if (name.starts_with("name:")) {
      const PreTokenizerRow* row = find_pre_tokenizer(name.substr(5));
      ASSERT_NE(row, nullptr) << name;
      pre_tokenizer = make_pre_tokenizer(*row);
      ++rows;
    } else {
      auto parsed = parse_pre_tokenizer(entry.at("config"), "test");
      ASSERT_TRUE(parsed.ok()) << parsed.status().message();
      byte_level = parsed->byte_level;
      pre_tokenizer = PreTokenizer(std::move(parsed->steps));
    }
    for (std::size_t i = 0; i < golden().at("texts").size(); ++i) {
      const std::string text = golden().at("texts")[i].get<std::string>();
      EXPECT_EQ(cut(pre_tokenizer, byte_level, text), entry.at("pieces")[i].get<std::vector<std::string>>())
          << name << " " << entry.at("config").dump() << "\n"
          << text;
    }
  }
  EXPECT_GE(rows, 20);
}

TEST(Normalizer, NormalisesLikeTokenizers) {
  for (const json& entry : golden().at("normalizers")) {
    const auto normalizer = parse_normalizer(entry.at("config"), "test");
    ASSERT_TRUE(normalizer.ok()) << normalizer.status().message();
    for (std::size_t i = 0; i < golden().at("texts").size(); ++i) {
      const std::string text = golden().at("texts")[i].get<std::string>();
      EXPECT_EQ(normalizer->apply(text), entry.at("outputs")[i].get<std::string>()) << entry.at("config").dump() << "\n"
                                                                                    << text;
    }
  }
}

TEST(PreTokenizerNames, AreUniqueAndFoundAgain) {
  for (const PreTokenizerRow& row : pre_tokenizer_rows()) {
    EXPECT_EQ(find_pre_tokenizer(row.name), &row);
    const std::string name = pre_tokenizer_name(make_pre_tokenizer(row), row.ignore_merges);
    const PreTokenizerRow* same = find_pre_tokenizer(name);
    ASSERT_NE(same, nullptr) << row.name;
    EXPECT_TRUE(std::equal(same->patterns.begin(), same->patterns.end(), row.patterns.begin(), row.patterns.end()))
        << row.name;
    EXPECT_EQ(same->ignore_merges, row.ignore_merges);
  }
  EXPECT_EQ(find_pre_tokenizer("no-such-name"), nullptr);
}

TEST(PreTokenizerNames, ComeFromTokenizerFiles) {
  struct Case {
    const char* config;
    bool ignore_merges;
    const char* name;
  };
  const std::vector<Case> cases = {
      {R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})", false, "gpt-2"},
      {R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false}]})",
       false, "starcoder"},
      {R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})",
       true, "llama-bpe"},
      {R"({"type":"Sequence","pretokenizers":[{"type":"Punctuation","behavior":"Contiguous"},{"type":"ByteLevel","add_prefix_space":false},{"type":"Digits","individual_digits":false},{"type":"Split","pattern":{"Regex":"[0-9][0-9][0-9]"},"behavior":"Isolated","invert":false}]})",
       false, "falcon"},
      {R"({"type":"ByteLevel","add_prefix_space":true})", false, ""},
      {R"({"type":"Split","pattern":{"Regex":"\\d"},"behavior":"Removed"})", false, ""},
  };
  for (const Case& c : cases) {
    auto parsed = parse_pre_tokenizer(json::parse(c.config), "test");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    EXPECT_EQ(pre_tokenizer_name(PreTokenizer(std::move(parsed->steps)), c.ignore_merges), c.name) << c.config;
  }
}

}  // namespace
}  // namespace mlxr
