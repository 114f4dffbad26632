#include "daemon/registry/modelfile.h"

#include <gtest/gtest.h>

#include "daemon/registry/model_parameters.h"

namespace mlxr {
namespace {

TEST(ModelfileTest, AllCommands) {
  const auto file = parse_modelfile(R"(# a comment
FROM llama3:8b
from ./mmproj.gguf
parameter temperature 0.7
PARAMETER num_ctx   4096
PARAMETER stop "<|im_end|>"
PARAMETER stop   two words
TEMPLATE """{{ if .System }}{{ .System }}
{{ end }}{{ .Prompt }}"""
SYSTEM You are brief. # not a comment
ADAPTER /lora.gguf
DRAFT small.gguf
LICENSE "MIT"
LICENSE """Second
license"""
MESSAGE user Hello, "you"
MESSAGE Assistant """Hi
there"""
RENDERER qwen3
PARSER qwen3
REQUIRES 0.5.0)");
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->from, (std::vector<std::string>{"llama3:8b", "./mmproj.gguf"}));
  EXPECT_EQ(file->template_text, "{{ if .System }}{{ .System }}\n{{ end }}{{ .Prompt }}");
  EXPECT_EQ(file->system, "You are brief. # not a comment");
  EXPECT_EQ(file->adapters, std::vector<std::string>{"/lora.gguf"});
  EXPECT_EQ(file->drafts, std::vector<std::string>{"small.gguf"});
  EXPECT_EQ(file->licenses, (std::vector<std::string>{"MIT", "Second\nlicense"}));
  EXPECT_EQ(file->messages, (std::vector<ModelMessage>{{"user", "Hello, \"you\""}, {"assistant", "Hi\nthere"}}));
  EXPECT_EQ(file->renderer + file->parser + file->requires_version, "qwen3qwen30.5.0");
  EXPECT_EQ(parameters_to_json(file->parameters),
            R"({"temperature":0.7,"num_ctx":4096,"stop":["<|im_end|>","two words"]})");
  EXPECT_EQ(*parse_modelfile(write_modelfile(*file)), *file);
}

TEST(ModelfileTest, Values) {
  const struct {
    const char* text;
    const char* value;
  } kCases[] = {
      {"SYSTEM plain words  ", "plain words"},
      {"SYSTEM \"quoted\"", "quoted"},
      {"SYSTEM \"over\nlines\"", "over\nlines"},
      {"SYSTEM \"\"\"  kept \n\"\"\"", "  kept \n"},
      {"SYSTEM \"\"\"\"\"\"", ""},
      {"SYSTEM \"\"", ""},
      {"SYSTEM 'single'", "'single'"},
      {"SYSTEM a \"b\"", "a \"b\""},
      {"SYSTEM \"a\" b\nc\"", "a\" b\nc"},
      {"SYSTEM\ttab", "tab"},
      {"system first\nSYSTEM last", "last"},
      {"SYSTEM a\\nb", "a\\nb"},
      {"SYSTEM", ""},
  };
  for (const auto& row : kCases) {
    const auto file = parse_modelfile(std::string("FROM x\n") + row.text);
    ASSERT_TRUE(file.ok()) << row.text << ": " << file.status().message();
    EXPECT_EQ(file->system, row.value) << row.text;
    const auto again = parse_modelfile(write_modelfile(*file));
    ASSERT_TRUE(again.ok()) << write_modelfile(*file);
    EXPECT_EQ(*again, *file);
  }
}

TEST(ModelfileTest, ErrorsNameTheLine) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"", "no FROM line"},
      {"# only a comment", "no FROM line"},
      {"SYSTEM x", "no FROM line"},
      {"FROM x\n\nFORM y", "line 3: command must be one of \"from\", \"license\""},
      {"FROM x\nSYSTEM \"\"\"open\n\n", "line 2: the quote that opens here is not closed"},
      {"FROM x\r\nPARAMETER temperature hot", "line 2: parameter \"temperature\" must be of type float32"},
      {"FROM x\nPARAMETER top_k 1.5", "must be of type integer"},
      {"FROM x\nPARAMETER colour red", "line 2: unknown parameter \"colour\""},
      {"FROM x\nPARAMETER", "line 2: PARAMETER has no value"},
      {"FROM x\nPARAMETER top_k", "line 2: PARAMETER has no value"},
      {"FROM", "line 1: FROM has no value"},
      {"FROM x\nMESSAGE robot hi", "line 2: message role must be one of"},
      {"FROM x\n\xFF", "neither UTF-8 nor UTF-16"},
      {"FROM x\nPARAMETER temperature nan", "must be of type float32"},
      {"FROM x\nPARAMETER seed 99999999999999999999", "must be of type integer"},
  };
  for (const auto& row : kCases) {
    const auto file = parse_modelfile(row.text);
    ASSERT_FALSE(file.ok()) << row.text;
    EXPECT_EQ(file.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(file.status().message().find(row.message), std::string::npos) << file.status().message();
  }
}

TEST(ModelfileTest, Encodings) {
  const std::string text = "FROM x\nSYSTEM h\xC3\xA9 \xF0\x9F\x99\x82";
  const std::u16string wide = u"FROM x\nSYSTEM h\u00e9 \U0001F642";
  std::string little = "\xFF\xFE";
  std::string big = "\xFE\xFF";
  for (const char16_t unit : wide) {
    little += {static_cast<char>(unit & 0xFF), static_cast<char>(unit >> 8)};
    big += {static_cast<char>(unit >> 8), static_cast<char>(unit & 0xFF)};
  }
  for (const std::string& bytes : {text, "\xEF\xBB\xBF" + text, little, big}) {
    const auto file = parse_modelfile(bytes);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->system, "h\xC3\xA9 \xF0\x9F\x99\x82");
  }
  EXPECT_FALSE(parse_modelfile(little + "x").ok());
}

TEST(ModelfileTest, OfARecord) {
  ModelRecord record;
  record.name = "x:latest";
  record.path = "/models/blobs/sha256-1";
  record.system = "Say \"hi\"";
  record.own_template = "{{ messages }}";
  const std::string text = modelfile_of(record);
  EXPECT_NE(text.find("# FROM x:latest\n"), std::string::npos);
  const auto file = parse_modelfile(text);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->from[0], record.path);
  EXPECT_EQ(file->system, record.system);
  EXPECT_EQ(file->template_text, record.own_template);
}

TEST(ModelParameters, FromJson) {
  const auto parameters = [](const char* text) {
    std::vector<std::string> warnings;
    return parse_parameters(text, "p", warnings);
  };
  EXPECT_EQ(parameters_to_json(*parameters(R"({"top_k":40.0,"use_mmap":true,"stop":"x","min_p":1})")),
            R"({"min_p":1.0,"stop":["x"],"top_k":40,"use_mmap":true})");
  for (const char* text : {"[]", "{\"top_k\":\"x\"}", "{\"top_k\":1.5}", "{\"stop\":[1]}", "{\"top_k\":1e300}", "{"}) {
    EXPECT_EQ(parameters(text).status().code(), StatusCode::kCorrupt) << text;
  }
  const ModelParameters merged =
      merge_parameters({{"top_k", std::int64_t{1}}, {"seed", std::int64_t{2}}}, {{"top_k", std::int64_t{3}}});
  EXPECT_EQ(parameters_to_json(merged), R"({"top_k":3,"seed":2})");
}

}  // namespace
}  // namespace mlxr
