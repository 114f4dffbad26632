#include "core/runtime/kv/block_file.h"

#include <sys/stat.h>

#include <numeric>

#include <gtest/gtest.h>

#include "core/runtime/kv/xxh64.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::TempDir;
using Bytes = std::vector<std::byte>;

Bytes sample(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(i * 7 + 3);
  return bytes;
}

std::string hex(std::span<const std::byte> bytes) {
  BlockHash hash;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 32) {
    const std::size_t count = std::min<std::size_t>(32, bytes.size() - i);
    std::memcpy(hash.bytes.data(), bytes.data() + i, count);
    text += hash.hex().substr(0, 2 * count);
  }
  return text;
}

TEST(Xxh64, EqualsTheLibrary) {
  // XXH64(bytes, n, 0) of libxxhash 0.8.1 for bytes i * 7 + 3.
  const struct {
    std::size_t size;
    std::uint64_t digest;
  } cases[] = {
      {0, 0xef46db3751d8e999U},   {1, 0x1f25c8d0bc1f4bb6U},    {3, 0x31d2363f52e564c9U},  {4, 0x9bb64b7d66ee9fdaU},
      {7, 0x9a7b149959ce60d8U},   {8, 0xdab99d95c6f90092U},    {12, 0xd52e407833af5133U}, {31, 0xa2aa5f33cc4a6119U},
      {32, 0x23c3c17ef790fd97U},  {33, 0x50a7cfc7ba588784U},   {63, 0x5e3e54b431c7493cU}, {64, 0x0eb64b3ef6eeb01fU},
      {100, 0xa61f8d4c170fe531U}, {1000, 0x5f235fa033f1a3fbU},
  };
  for (const auto& row : cases) {
    const Bytes bytes = sample(row.size);
    EXPECT_EQ(Xxh64().update(bytes).digest(), row.digest) << row.size;
    for (const std::size_t piece : {1UL, 5UL, 32UL, 45UL}) {
      Xxh64 pieces;
      for (std::size_t i = 0; i < bytes.size(); i += piece)
        pieces.update(std::span(bytes).subspan(i, std::min(piece, bytes.size() - i)));
      EXPECT_EQ(pieces.digest(), row.digest) << row.size << " in pieces of " << piece;
    }
  }
}

TEST(BlockHash, ReadsItsOwnHex) {
  Sha256 sha;
  const BlockHash hash = sha.finish();
  EXPECT_EQ(BlockHash::from_hex(hash.hex()), hash);
  EXPECT_FALSE(BlockHash::from_hex(hash.hex().substr(1)));
  std::string wrong = hash.hex();
  wrong[10] = 'G';
  EXPECT_FALSE(BlockHash::from_hex(wrong));
}

TEST(BlockCipher, IsAes256Gcm) {
  // Test case 14 of "The Galois/Counter Mode of Operation" (McGrew, Viega): all zero.
  const BlockCipher cipher(BlockCipher::Key{});
  const Bytes nonce(BlockCipher::kNonceBytes);
  Bytes text(16);
  const std::span<std::byte> pieces[] = {std::span(text).first(5), std::span(text).subspan(5)};
  const auto tag = cipher.encrypt(nonce, {}, pieces);
  EXPECT_EQ(hex(text), "cea7403d4d606b6e074ec5d3baf39d18");
  EXPECT_EQ(hex(tag), "d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_TRUE(cipher.decrypt(nonce, {}, pieces, tag));
  EXPECT_EQ(text, Bytes(16));
}

TEST(BlockCipher, KeepsItsKeyInAFile) {
  const TempDir dir;
  const std::string path = dir.path("key");
  const auto made = BlockCipher::from_file(path);
  ASSERT_TRUE(made.ok()) << made.status().message();
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(info.st_size, 32);
  EXPECT_EQ(dir.num_files(), 1U);
  const auto again = BlockCipher::from_file(path);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->name_key(), made->name_key());
  const auto other = BlockCipher::from_file(dir.path("other"));
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->name_key(), made->name_key());
}

TEST(BlockCipher, RefusesAKeyThatIsNone) {
  const TempDir dir;
  test::write_file(dir.path("short"), "abc");
  ::chmod(dir.path("short").c_str(), 0600);
  EXPECT_EQ(BlockCipher::from_file(dir.path("short")).status().message(), dir.path("short") + ": a key has 32 bytes");
  test::write_file(dir.path("open"), std::string(32, 'k'));
  ::chmod(dir.path("open").c_str(), 0644);
  EXPECT_EQ(BlockCipher::from_file(dir.path("open")).status().message(),
            dir.path("open") + ": others may use this key: its mode must be 0600");
  EXPECT_EQ(BlockCipher::from_file(dir.path("none/key")).status().code(), StatusCode::kInternal);
}

class BlockFile : public testing::TestWithParam<bool> {
 protected:
  BlockFile() {
    identity_.fingerprint.bytes.fill(1);
    identity_.key.hash.bytes.fill(2);
    identity_.key.group = 1;
    identity_.parent.bytes.fill(3);
    identity_.tokens = tokens_;
    payload_ = sample(77);
    encoded_ = encode_block(identity_, payload_, cipher());
  }
  const BlockCipher* cipher() const { return GetParam() ? &cipher_ : nullptr; }
  Status decode(const BlockIdentity& identity, Bytes head, Bytes payload, BlockTrailer trailer) {
    const Status status = decode_block(identity, head, payload, trailer, cipher());
    decoded_ = std::move(payload);
    return status;
  }

  std::vector<std::int32_t> tokens_ = {5, -1, 70000, 2};
  BlockIdentity identity_;
  BlockCipher cipher_{BlockCipher::Key{1, 2, 3}};
  Bytes payload_;  // as in the file
  EncodedBlock encoded_;
  Bytes decoded_;
};

TEST_P(BlockFile, GivesBackThePayload) {
  EXPECT_EQ(encoded_.head.size() + payload_.size() + encoded_.trailer.size(), block_file_bytes(4, 77));
  const Status status = decode(identity_, encoded_.head, payload_, encoded_.trailer);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(decoded_, sample(77));
  EXPECT_EQ(payload_ == sample(77), !GetParam());
}

TEST_P(BlockFile, NoticesEveryFlippedBit) {
  const std::size_t head = encoded_.head.size();
  const std::size_t total = head + payload_.size() + encoded_.trailer.size();
  for (std::size_t bit = 0; bit < 8 * total; ++bit) {
    EncodedBlock changed = encoded_;
    Bytes payload = payload_;
    const std::size_t at = bit / 8;
    std::byte& target = at < head                    ? changed.head[at]
                        : at < head + payload.size() ? payload[at - head]
                                                     : changed.trailer[at - head - payload.size()];
    target ^= static_cast<std::byte>(1 << (bit % 8));
    const Status status = decode(identity_, changed.head, payload, changed.trailer);
    ASSERT_EQ(status.code(), StatusCode::kCorrupt) << "bit " << bit;
    EXPECT_FALSE(status.message().empty());
  }
}

TEST_P(BlockFile, NamesWhatIsNotExpected) {
  const std::vector<std::int32_t> other_tokens = {5, -1, 70000, 3};
  const std::vector<std::int32_t> fewer_tokens = {5, -1, 70000};
  const auto with = [this](auto change) {
    BlockIdentity identity = identity_;
    change(identity);
    return decode(identity, encoded_.head, payload_, encoded_.trailer).message();
  };
  EXPECT_EQ(with([](BlockIdentity& i) { i.fingerprint.bytes[31] = 0; }),
            "fingerprint at offset 32 is not the expected one");
  EXPECT_EQ(with([](BlockIdentity& i) { i.key.group = 0; }), "group at offset 16 is not the expected one");
  EXPECT_EQ(with([](BlockIdentity& i) { i.key.hash.bytes[0] = 0; }), "name at offset 80 is not the expected one");
  EXPECT_EQ(with([](BlockIdentity& i) { i.parent.bytes[0] = 0; }), "parent at offset 112 is not the expected one");
  EXPECT_EQ(with([&](BlockIdentity& i) { i.tokens = other_tokens; }),
            "the tokens at offset 144 are not the expected ones");
  BlockIdentity fewer = identity_;
  fewer.tokens = fewer_tokens;
  EXPECT_EQ(decode(fewer, Bytes(encoded_.head.begin(), encoded_.head.end() - 4), payload_, encoded_.trailer).message(),
            "number of tokens at offset 20 is not the expected one");
  EXPECT_EQ(decode(identity_, encoded_.head, sample(78), encoded_.trailer).message(),
            "payload size at offset 24 is not the expected one");
}

INSTANTIATE_TEST_SUITE_P(, BlockFile, testing::Bool(), [](const testing::TestParamInfo<bool>& param) {
  return std::string(param.param ? "encrypted" : "plain");
});

TEST(BlockFileKeys, AnotherKeyDoesNotOpenIt) {
  const std::vector<std::int32_t> tokens = {1};
  BlockIdentity identity;
  identity.tokens = tokens;
  const BlockCipher right(BlockCipher::Key{1});
  const BlockCipher wrong(BlockCipher::Key{2});
  Bytes payload = sample(40);
  EncodedBlock block = encode_block(identity, payload, &right);
  EXPECT_EQ(decode_block(identity, block.head, payload, block.trailer, &wrong).message(),
            "the content does not decrypt: it was changed, or the key is another");
  EXPECT_EQ(decode_block(identity, block.head, payload, block.trailer, nullptr).message(),
            "flags at offset 12 is not the expected one");
}

}  // namespace
}  // namespace mlxr
