#include "daemon/registry/manifest.h"

#include <gtest/gtest.h>

#include "daemon/registry/digest.h"

namespace mlxr {
namespace {

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');

// The shape of what registry.ollama.ai serves.
std::string ollama_manifest() {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
         R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
         kA + R"(","size":485},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256-)" +
         std::string(64, 'B') + R"(","size":4661211808,"from":"/x"},)" +
         R"({"mediaType":"application/vnd.ollama.image.new-thing","digest":")" + kA + R"(","size":485}]})";
}

TEST(Manifest, KeepsBytesAndReadsLayers) {
  const auto manifest = parse_manifest(ollama_manifest(), "m");
  ASSERT_TRUE(manifest.ok()) << manifest.status().message();
  EXPECT_EQ(manifest->bytes, ollama_manifest());
  EXPECT_EQ(manifest->digest, digest_of(ollama_manifest()));
  ASSERT_EQ(manifest->layers.size(), 2U);
  EXPECT_EQ(manifest->layers[0].digest, kB);
  EXPECT_EQ(manifest->layers[0].from, "/x");
  EXPECT_EQ(manifest->find(media::kModel), &manifest->layers[0]);
  EXPECT_EQ(manifest->find(media::kTemplate), nullptr);
  EXPECT_EQ(manifest->total_bytes(), 485U + 4661211808U);
  EXPECT_EQ(manifest->digests(), (std::vector<std::string>{kA, kB}));
}

TEST(Manifest, WhatIsWrittenReadsBack) {
  const Manifest made =
      make_manifest({std::string(media::kConfig), kA, 12}, {{std::string(media::kFile), kB, 7, "config.json"}});
  const auto read = parse_manifest(made.bytes, "m");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->layers, made.layers);
  EXPECT_EQ(read->config, made.config);
  EXPECT_EQ(read->digest, made.digest);
}

TEST(Manifest, HostileBytes) {
  const auto with_layer = [&](const std::string& layer) {
    return R"({"schemaVersion":2,"config":{"digest":")" + kA + R"(","size":1},"layers":[)" + layer + "]}";
  };
  const std::string cases[] = {
      "",
      "[]",
      "null",
      "{}",
      R"({"schemaVersion":1,"config":{}})",
      R"({"schemaVersion":2,"config":[]})",
      R"({"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd","size":1}})",
      with_layer("3"),
      with_layer(R"({"digest":"x","size":1})"),
      with_layer(R"({"digest":")" + kA + R"(","size":-1})"),
      with_layer(R"({"digest":")" + kA + R"(","size":1.5})"),
      with_layer(R"({"digest":")" + kA + R"(","size":18446744073709551615})"),
      with_layer(R"({"digest":")" + kA + R"(","size":1,"name":7})"),
      std::string(100, '['),
      "{\"schemaVersion\":2,\"config\":{\"digest\":\"\xFF\"}}",
  };
  for (const std::string& bytes : cases) {
    const auto manifest = parse_manifest(bytes, "m");
    ASSERT_FALSE(manifest.ok()) << bytes;
    const StatusCode code = manifest.status().code();
    EXPECT_TRUE(code == StatusCode::kCorrupt || code == StatusCode::kUnsupported) << bytes;
    EXPECT_TRUE(manifest.status().message().starts_with("m")) << manifest.status().message();
  }
}

TEST(Manifest, ConfigThereAndBack) {
  ManifestConfig config;
  config.model_format = "gguf";
  config.model_family = "llama";
  config.model_families = {"llama", "clip"};
  config.model_type = "8.0B";
  config.file_type = "Q4_K_M";
  config.capabilities = {"completion"};
  config.context_length = 8192;
  const std::string bytes = write_manifest_config(config, {{"x", kB, 1}});
  const auto read = parse_manifest_config(bytes, "c");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->model_families, config.model_families);
  EXPECT_EQ(read->file_type, "Q4_K_M");
  EXPECT_EQ(read->context_length, 8192U);
  EXPECT_NE(bytes.find(kB), std::string::npos);
  EXPECT_FALSE(parse_manifest_config("{\"model_families\":[1]}", "c").ok());
}

}  // namespace
}  // namespace mlxr
