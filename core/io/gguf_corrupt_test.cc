// Every way in which a GGUF file can lie, and the line that says so.

#include <gtest/gtest.h>

#include "core/io/gguf.h"
#include "tests/support/gguf_bytes.h"
#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::file_of;
using test::GgufBytes;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;

struct Case {
  const char* name;
  std::string bytes;
  StatusCode code;
  const char* message;  // after "model.gguf: "
};

void expect_errors(std::span<const Case> cases) {
  for (const Case& c : cases) {
    const auto file = GgufFile::parse(file_of(c.bytes));
    ASSERT_FALSE(file.ok()) << c.name;
    EXPECT_EQ(file.status().code(), c.code) << c.name;
    EXPECT_EQ(file.status().message(), std::string("model.gguf: ") + c.message) << c.name;
  }
}

// A file with one metadata entry under the key "k"; the value follows.
GgufBytes with_key(std::uint32_t type) {
  return GgufBytes().counts(0, 1).key("k", type);
}
// A file with one tensor, and 64 bytes of data.
std::string with_tensor(std::initializer_list<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
  return GgufBytes().counts(1, 0).tensor("t", dims, type, offset).data(64);
}

constexpr StatusCode kCorrupt = StatusCode::kCorrupt;
constexpr StatusCode kUnsupported = StatusCode::kUnsupported;

TEST(GgufCorrupt, Opening) {
  const Case cases[] = {
      {"empty", "", kCorrupt, "magic (4 bytes) at offset 0 runs past the end of the file (0 bytes)"},
      {"cut magic", "GG", kCorrupt, "magic (4 bytes) at offset 0 runs past the end of the file (2 bytes)"},
      {"other magic", "GGML\3\0\0\0", kCorrupt, "not a GGUF file: magic at offset 0 is \"GGML\""},
      {"cut version", std::string("GGUF\3\0", 6), kCorrupt,
       "version (4 bytes) at offset 4 runs past the end of the file (6 bytes)"},
      {"version 0", GgufBytes(0), kUnsupported, "GGUF version 0 at offset 4: versions 1 to 3 are known"},
      {"version 4", GgufBytes(4), kUnsupported, "GGUF version 4 at offset 4: versions 1 to 3 are known"},
      {"big-endian", GgufBytes(0x03000000), kUnsupported,
       "GGUF file of a big-endian machine: convert it to little-endian"},
      {"cut tensor count", GgufBytes().u32(0), kCorrupt,
       "tensor count (8 bytes) at offset 8 runs past the end of the file (12 bytes)"},
      {"cut metadata count", GgufBytes().u64(0), kCorrupt,
       "metadata count (8 bytes) at offset 16 runs past the end of the file (16 bytes)"},
      {"lying metadata count", GgufBytes().counts(0, kHuge), kCorrupt,
       "metadata count 4611686018427387904 at offset 16 is more than the file (24 bytes) can hold"},
      {"lying tensor count", GgufBytes().counts(kHuge, 0), kCorrupt,
       "tensor count 4611686018427387904 at offset 8 is more than the file (24 bytes) can hold"},
      {"lying count of version 1", GgufBytes(1).counts(3, 0).raw(std::string(40, '\0')), kCorrupt,
       "tensor count 3 at offset 8 is more than the file (56 bytes) can hold"},
  };
  expect_errors(cases);
}

TEST(GgufCorrupt, Metadata) {
  const std::string room(64, '\0');
  const Case cases[] = {
      {"key past the end", GgufBytes().counts(0, 1).u64(1000).raw(room), kCorrupt,
       "metadata entry 1 of 1: key (1000 bytes) at offset 32 runs past the end of the file (96 bytes)"},
      {"key of 4 GiB", GgufBytes().counts(0, 1).u64(std::uint64_t{1} << 32).raw(room), kCorrupt,
       "metadata entry 1 of 1: key at offset 24 has a length of 4294967296"},
      {"cut type", GgufBytes().counts(0, 1).string("keykey").raw("xx"), kCorrupt,
       "metadata key \"keykey\": value type (4 bytes) at offset 38 runs past the end of the file (40 bytes)"},
      {"unknown type", with_key(13).raw(room), kCorrupt, "metadata key \"k\": value type 13 at offset 33 is unknown"},
      {"cut value", with_key(10).u32(1), kCorrupt,
       "metadata key \"k\": value (8 bytes) at offset 37 runs past the end of the file (41 bytes)"},
      {"cut bool", GgufBytes().counts(0, 2).key("kk", 7).value(std::uint8_t{1}).key("k", 7).raw(""), kCorrupt,
       "metadata key \"k\": bool (1 bytes) at offset 52 runs past the end of the file (52 bytes)"},
      {"string past the end", with_key(8).u64(60).raw("abc"), kCorrupt,
       "metadata key \"k\": string (60 bytes) at offset 45 runs past the end of the file (48 bytes)"},
      {"string of all memory", with_key(8).u64(kHuge), kCorrupt,
       "metadata key \"k\": string at offset 37 has a length of 4611686018427387904"},
      {"unknown element type", with_key(9).u32(77).u64(1).raw(room), kCorrupt,
       "metadata key \"k\": value type 77 at offset 37 is unknown"},
      {"array of arrays", with_key(9).u32(9).u64(1).raw(room), kUnsupported,
       "metadata key \"k\": an array of arrays at offset 37 is not supported"},
      {"lying array of f32", with_key(9).u32(6).u64(kHuge).raw(room), kCorrupt,
       "metadata key \"k\": array length 4611686018427387904 at offset 41 is more than the file (113 bytes) can hold"},
      {"lying array of bool", with_key(9).u32(7).u64(65).raw(room), kCorrupt,
       "metadata key \"k\": array length 65 at offset 41 is more than the file (113 bytes) can hold"},
      {"lying array of strings", with_key(9).u32(8).u64(9).raw(room), kCorrupt,
       "metadata key \"k\": array length 9 at offset 41 is more than the file (113 bytes) can hold"},
      {"string in an array past the end", with_key(9).u32(8).u64(2).string("abc").u64(9).raw("abcdefgh"), kCorrupt,
       "metadata key \"k\": array element 1: string (9 bytes) at offset 68 runs past the end of the file (76 bytes)"},
      {"key twice", GgufBytes().counts(0, 2).key("k", 4).u32(1).key("k", 4).u32(2), kCorrupt,
       "metadata key \"k\" at offset 41 appears twice"},
      {"hostile key", GgufBytes().counts(0, 1).key("a\n\"b\x1b", 99).raw(room), kCorrupt,
       "metadata key \"a\\x0a\\\"b\\x1b\": value type 99 at offset 37 is unknown"},
      {"alignment 0", GgufBytes().counts(0, 1).key("general.alignment", 4).u32(0), kCorrupt,
       "general.alignment is 0, not a power of two of at least 8"},
      {"alignment 48", GgufBytes().counts(0, 1).key("general.alignment", 4).u32(48), kCorrupt,
       "general.alignment is 48, not a power of two of at least 8"},
      {"alignment of 2^40", GgufBytes().counts(0, 1).key("general.alignment", 10).u64(std::uint64_t{1} << 40), kCorrupt,
       "general.alignment is 1099511627776, not a power of two of at least 8"},
      {"alignment as text", GgufBytes().counts(0, 1).key("general.alignment", 8).string("32"), kCorrupt,
       "general.alignment is \"32\", not a power of two of at least 8"},
  };
  expect_errors(cases);
}

TEST(GgufCorrupt, TensorEntries) {
  const Case cases[] = {
      {"cut name", GgufBytes().counts(1, 0).u64(90).raw(std::string(30, 'n')), kCorrupt,
       "tensor 1 of 1: tensor name (90 bytes) at offset 32 runs past the end of the file (62 bytes)"},
      {"five dimensions", with_tensor({1, 1, 1, 1, 1}, 0, 0), kCorrupt,
       "tensor \"t\": dimension count 5 at offset 33 is more than 4"},
      {"cut dimension", GgufBytes().counts(1, 0).string("tttttttttttt").u32(2).u64(1), kCorrupt,
       "tensor \"tttttttttttt\": dimension (8 bytes) at offset 56 runs past the end of the file (56 bytes)"},
      {"negative dimension", with_tensor({~std::uint64_t{0}}, 0, 0), kCorrupt,
       "tensor \"t\": dimension 18446744073709551615 at offset 37 is out of range"},
      {"elements overflow", with_tensor({kHuge, 4}, 0, 0), kCorrupt,
       "tensor \"t\": shape [4, 4611686018427387904] at offset 33 does not fit type F32 (blocks of 1 elements)"},
      {"elements overflow beside a zero", with_tensor({kHuge, 0, 4}, 0, 0), kCorrupt,
       "tensor \"t\": shape [4, 0, 4611686018427387904] at offset 33 does not fit type F32 (blocks of 1 elements)"},
      {"bytes overflow", with_tensor({kHuge}, 0, 0), kCorrupt,
       "tensor \"t\": shape [4611686018427387904] at offset 33 does not fit type F32 (blocks of 1 elements)"},
      {"half a block", with_tensor({48}, 8, 0), kCorrupt,
       "tensor \"t\": shape [48] at offset 33 does not fit type Q8_0 (blocks of 32 elements)"},
      {"unknown type", with_tensor({4}, 1000, 0), kUnsupported,
       "tensor \"t\": tensor type 1000 is unknown (type field at offset 45)"},
      {"removed type", with_tensor({4}, 31, 0), kUnsupported,
       "tensor \"t\": tensor type 31 was removed from the GGUF format: convert the model again (type field at offset "
       "45)"},
  };
  expect_errors(cases);
}

TEST(GgufCorrupt, TensorData) {
  const Case cases[] = {
      {"offset not aligned", with_tensor({4}, 0, 4), kCorrupt,
       "tensor \"t\": data offset 4 at offset 49 is not a multiple of the alignment 32"},
      {"offset overflows", with_tensor({4}, 0, ~std::uint64_t{31}), kCorrupt,
       "tensor \"t\": data offset 18446744073709551584 at offset 49 is out of range"},
      {"data past the end", with_tensor({17}, 0, 0), kCorrupt,
       "tensor \"t\": data ends at 132, past the end of the file (128)"},
      {"data far past the end", with_tensor({kHuge / 8}, 0, 0), kCorrupt,
       "tensor \"t\": data ends at 2305843009213694016, past the end of the file (128)"},
      {"no data at all", GgufBytes().counts(1, 0).tensor("t", {1}, 0, 0), kCorrupt,
       "tensor \"t\": data ends at 68, past the end of the file (57)"},
      {"overlap", GgufBytes().counts(2, 0).tensor("a", {9}, 0, 0).tensor("b", {1}, 0, 32).data(64), kCorrupt,
       "tensors \"a\" and \"b\" overlap at offset 128"},
      {"the same data twice", GgufBytes().counts(2, 0).tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 0).data(64), kCorrupt,
       "tensors \"a\" and \"b\" overlap at offset 96"},
      {"name twice", GgufBytes().counts(2, 0).tensor("a", {1}, 0, 0).tensor("a", {1}, 0, 32).data(64), kCorrupt,
       "tensor \"a\" appears twice"},
  };
  expect_errors(cases);
}

TEST(GgufCorrupt, EveryTruncationIsAnError) {
  const std::string whole = test::read_file(test::fixture("io/types.gguf"));
  const auto file = GgufFile::parse(file_of(whole));
  ASSERT_TRUE(file.ok());
  const WeightTensor& last = (*file)->tensors().back();
  // Padding after the last tensor may be missing.
  const std::size_t needed = static_cast<std::size_t>(last.bytes.data() - (*file)->tensors().front().bytes.data()) +
                             last.bytes.size() + (*file)->data_offset();
  for (std::size_t size = 0; size < needed; ++size) {
    const auto cut = GgufFile::parse(file_of(whole.substr(0, size)));
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.status().message().find('\n'), std::string::npos);
  }
  EXPECT_TRUE(GgufFile::parse(file_of(whole.substr(0, needed))).ok());
}

}  // namespace
}  // namespace mlxr
