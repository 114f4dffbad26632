// Real tokenizers against reference ids: ../shared/data, which is not part of the repository.

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/io/json_file.h"
#include "core/runtime/tokenizer/load_tokenizer.h"
#include "core/runtime/tokenizer/tokenizer_gguf.h"
#include "core/runtime/tokenizer/tokenizer_json.h"
#include "tests/support/paths.h"

namespace mlxr {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

struct Case {
  std::string text;
  Ids ids;
};

std::vector<Case> read_golden(const std::string& path) {
  std::vector<Case> out;
  const auto golden = read_json_file(path);
  EXPECT_TRUE(golden.ok()) << golden.status().message();
  for (const json& c : golden->at("cases"))
    out.push_back({c.at("text").get<std::string>(), c.at("ids").get<Ids>()});
  return out;
}

// Texts separated by lines of __ggml_vocab_test__; ids a line each.
std::vector<Case> read_vocab_test(const std::string& stem) {
  std::vector<Case> out;
  std::ifstream in(stem + ".inp");
  std::ifstream ids(stem + ".out");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::string line;
  for (std::size_t at = 0; std::getline(ids, line);) {
    const std::size_t end = text.find(separator, at);
    Case c;
    c.text = text.substr(at, end - at);
    std::istringstream numbers(line);
    for (TokenId id = 0; numbers >> id;)
      c.ids.push_back(id);
    out.push_back(std::move(c));
    if (end == std::string::npos) break;
    at = end + separator.size();
  }
  return out;
}

int count_differences(const Tokenizer& tokenizer, const std::vector<Case>& cases, const EncodeOptions& options) {
  int differences = 0;
  for (const Case& c : cases) {
    if (tokenizer.encode(c.text, options) == c.ids) continue;
    if (++differences <= 3) {
      EXPECT_EQ(tokenizer.encode(c.text, options), c.ids) << c.text;
    }
  }
  return differences;
}

struct Source {
  const char* folder;
  const char* file;
  const char* pre;
  bool parse_special;  // how the reference was made
};

class ReferenceTokenizer : public ::testing::TestWithParam<Source> {};

TEST_P(ReferenceTokenizer, GivesTheReferenceIds) {
  const Source& source = GetParam();
  const auto dir = test::shared(std::string("data/tokenizers/") + source.folder);
  if (!dir) GTEST_SKIP() << "no data/tokenizers/" << source.folder;
  const auto loaded = load_tokenizer(*dir + "/" + source.file, {.pre = source.pre});
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const std::vector<Case> cases = read_golden(*dir + "/golden.json");
  const EncodeOptions options{.parse_special = source.parse_special};
  EXPECT_EQ(count_differences(**loaded, cases, options), 0);
  const bool lossless =
      source.file == std::string_view("tokenizer.model") || std::string_view(source.folder) != "neox20b";
  for (const Case& c : cases) {
    if (lossless) {
      EXPECT_EQ((*loaded)->decode(c.ids), c.text);
    }
  }
}

TEST_P(ReferenceTokenizer, SurvivesGguf) {
  const Source& source = GetParam();
  const auto dir = test::shared(std::string("data/tokenizers/") + source.folder);
  if (!dir) GTEST_SKIP() << "no data/tokenizers/" << source.folder;
  const auto loaded = load_tokenizer(*dir + "/" + source.file, {.pre = source.pre});
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  if (std::string_view(source.folder) == "neox20b") return;  // NFC, which GGUF does not know
  Metadata metadata;
  const Status written = tokenizer_to_gguf(**loaded, 0, metadata);
  ASSERT_TRUE(written.ok()) << written.message();
  const auto back = tokenizer_from_gguf(metadata);
  ASSERT_TRUE(back.ok()) << back.status().message();
  const EncodeOptions options{.parse_special = source.parse_special};
  EXPECT_EQ(count_differences(**back, read_golden(*dir + "/golden.json"), options), 0);
}

std::string test_name(std::string name) {
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

constexpr Source kSources[] = {
    {"gpt2", "tokenizer.json", "", true},     {"neox20b", "tokenizer.json", "", true},
    {"llama2", "tokenizer.model", "", false}, {"mistral-v3", "tokenizer.model", "", false},
    {"llama3", "tokenizer.json", "", false},  {"llama3", "tiktoken.model", "llama-bpe", false},
    {"qwen2", "tokenizer.json", "", false},   {"qwen2", "qwen.tiktoken", "qwen2", false},
};
INSTANTIATE_TEST_SUITE_P(Files, ReferenceTokenizer, ::testing::ValuesIn(kSources), [](const auto& suite) {
  return test_name(std::string(suite.param.folder) + "_" + suite.param.file);
});

class ReferenceVocabulary : public ::testing::TestWithParam<const char*> {};

TEST_P(ReferenceVocabulary, GivesTheReferenceIds) {
  const auto file = test::shared(std::string("data/gguf-vocab/ggml-vocab-") + GetParam() + ".gguf");
  if (!file) GTEST_SKIP() << "no data/gguf-vocab";
  const auto loaded = load_tokenizer(*file);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const std::vector<Case> cases = read_vocab_test(*file);
  EXPECT_EQ(cases.size(), 46u);
  EXPECT_EQ(count_differences(**loaded, cases, {.parse_special = false}), 0);
  EXPECT_EQ(count_differences(**loaded, cases, {.parse_special = true}), 0);
}

INSTANTIATE_TEST_SUITE_P(Files, ReferenceVocabulary,
                         ::testing::Values("falcon", "gpt-2", "deepseek-llm", "llama-spm", "refact"),
                         [](const auto& suite) { return test_name(suite.param); });

TEST(ReferenceVocabularies, RefuseWhatIsNotRead) {
  const auto file = test::shared("data/gguf-vocab/ggml-vocab-bert-bge.gguf");
  if (!file) GTEST_SKIP() << "no data/gguf-vocab";
  const auto loaded = load_tokenizer(*file);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(loaded.status().message().find("\"bert\""), std::string::npos) << loaded.status().message();
}

}  // namespace
}  // namespace mlxr
