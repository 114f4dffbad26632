#include "daemon/registry/model_name.h"

#include <gtest/gtest.h>

namespace mlxr {
namespace {

const std::string kHex(64, 'a');

TEST(ModelName, PartsAndDefaults) {
  const struct {
    const char* text;
    const char* full;
    const char* display;
  } kCases[] = {
      {"llama3", "registry.ollama.ai/library/llama3:latest", "llama3:latest"},
      {"llama3:8b", "registry.ollama.ai/library/llama3:8b", "llama3:8b"},
      {"Me/X:v1", "registry.ollama.ai/Me/X:v1", "Me/X:v1"},
      {"library/x", "registry.ollama.ai/library/x:latest", "x:latest"},
      {"hf.co/user/repo-GGUF:Q4_K_M", "hf.co/user/repo-GGUF:Q4_K_M", "hf.co/user/repo-GGUF:Q4_K_M"},
      {"huggingface.co/user/repo", "hf.co/user/repo:latest", "hf.co/user/repo:latest"},
      {"localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"},
      {"localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"},
      {"http://127.0.0.1:80/a/b:c", "127.0.0.1:80/a/b:c", "127.0.0.1:80/a/b:c"},
      {"https://registry.ollama.ai/library/x:y", "registry.ollama.ai/library/x:y", "x:y"},
      {"REGISTRY.ollama.ai/Library/x:y", "REGISTRY.ollama.ai/Library/x:y", "x:y"},
      {"qwen2.5-coder:0.5b", "registry.ollama.ai/library/qwen2.5-coder:0.5b", "qwen2.5-coder:0.5b"},
  };
  for (const auto& row : kCases) {
    const auto name = parse_model_name(row.text);
    ASSERT_TRUE(name.ok()) << row.text << ": " << name.status().message();
    EXPECT_EQ(name->full(), row.full);
    EXPECT_EQ(name->display(), row.display);
    // What people are shown means the same model again.
    const auto again = parse_model_name(name->display());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->key(), name->key());
  }
}

TEST(ModelName, SchemeAndDigest) {
  const auto name = parse_model_name("HTTP://host/a/b:c@sha256:" + kHex);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->scheme, "http");
  EXPECT_EQ(name->digest, "sha256:" + kHex);
  EXPECT_EQ(parse_model_name("x")->scheme, "https");
}

TEST(ModelName, CaseMakesNoDifference) {
  EXPECT_EQ(parse_model_name("LLaMA:8B")->key(), parse_model_name("llama:8b")->key());
  EXPECT_NE(parse_model_name("llama:8b")->key(), parse_model_name("llama:7b")->key());
}

TEST(ModelName, WhatIsNoName) {
  const std::string kLong(81, 'a');
  const std::string cases[] = {
      "",
      ":",
      ":tag",
      "a:",
      "/a",
      "a/",
      "a//b",
      "..",
      "../a",
      "a/../b",
      "a/..",
      ".a",
      "-a",
      "a b",
      "a\nb",
      "a\\b",
      std::string("a\0b", 3),
      "a/b/c/d",
      "ftp://a/b/c",
      "://a",
      "a:b:c",
      "a@",
      "a@sha256:12",
      "a@md5:" + kHex,
      kLong,
      "a:" + kLong,
      kLong + "/a",
      std::string(351, 'h') + "/a/b",
      "\xC3\xA9",
      "a:..",
      "a:.hidden",
      "~/x",
      "a%2e",
      "/etc/passwd",
  };
  for (const std::string& text : cases) {
    const auto name = parse_model_name(text);
    EXPECT_FALSE(name.ok()) << text;
    if (name.ok()) continue;
    EXPECT_EQ(name.status().code(), StatusCode::kInvalidArgument);
    for (const char c : name.status().message())
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << text;
  }
  EXPECT_TRUE(parse_model_name(std::string(80, 'a') + ":" + std::string(80, 'b')).ok());
}

TEST(ModelName, PathStaysBelowTheManifests) {
  EXPECT_EQ(parse_model_name("localhost:5000/a/b:c")->manifest_path(), "localhost:5000/a/b/c");
  EXPECT_FALSE(model_name_of_parts("h", "n", "m", "..").ok());
  EXPECT_FALSE(model_name_of_parts("h", "n", "m", ".tmp").ok());
}

}  // namespace
}  // namespace mlxr
