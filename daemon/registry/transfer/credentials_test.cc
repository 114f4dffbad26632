#include "daemon/registry/transfer/credentials.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "daemon/registry/transfer/base64.h"
#include "daemon/registry/transfer/blob_source.h"
#include "daemon/registry/transfer/ed25519.h"
#include "daemon/registry/transfer/registry_auth.h"
#include "daemon/registry/transfer/url.h"
#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using test::TempDir;
using test::write_file;

TEST(Credentials, AreForTheirOwnerAlone) {
  const TempDir folder;
  const CredentialStore store(folder.path("deep/er/credentials.json"));
  EXPECT_FALSE(store.token("a.example")->has_value());
  ASSERT_TRUE(store.set("a.example", "one").ok());
  ASSERT_TRUE(store.set("b.example", "me:two").ok());
  EXPECT_EQ(**store.token("a.example"), "one");
  EXPECT_EQ(*store.hosts(), (std::vector<std::string>{"a.example", "b.example"}));
  struct stat info = {};
  ASSERT_EQ(::stat(store.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  ASSERT_TRUE(store.remove("a.example").ok());
  EXPECT_EQ(store.remove("a.example").code(), StatusCode::kNotFound);
  EXPECT_FALSE(store.token("a.example")->has_value());
  EXPECT_EQ(store.set("c.example", "line\nbreak").code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(::chmod(store.path().c_str(), 0644), 0);
  EXPECT_NE(store.token("b.example").status().message().find("chmod 600"), std::string::npos);
  ASSERT_EQ(::chmod(store.path().c_str(), 0600), 0);
  for (const char* text : {"{", "[]", "{\"tokens\":{\"a\":3}}"}) {
    write_file(store.path(), text);
    EXPECT_EQ(store.token("a").status().code(), StatusCode::kCorrupt) << text;
  }
  EXPECT_EQ(authorization_of_token("abc"), "Bearer abc");
  EXPECT_EQ(authorization_of_token("me:two"), "Basic bWU6dHdv");
}

TEST(Base64, OfRfc4648) {
  for (const auto& [bytes, text] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
  for (const char* broken : {"Z", "Zg=", "Zg= ", "Z===", "Zm9v!Zm9", "=Zm9"}) {
    EXPECT_EQ(base64_decode(broken), std::nullopt) << broken;
  }
}

// The keys and signatures of RFC 8032, section 7.1, tests 1 and 2.
TEST(Ed25519, VerifiesTheVectorsOfItsRfc) {
  const TempDir folder;
  const auto bytes_of_hex = [](std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    }
    return bytes;
  };
  const std::string point = bytes_of_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const std::string signature = bytes_of_hex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
      "b00d291612bb0c00");
  std::string wire("\0\0\0\x0bssh-ed25519\0\0\0\x20", 19);
  wire += point;
  write_file(folder.path("trust"), "\n# a comment\nssh-ed25519 " + base64_encode(wire) + " somebody\n");
  const auto keys = TrustedKeys::load(folder.path("trust"));
  ASSERT_TRUE(keys.ok()) << keys.status().message();
  EXPECT_EQ(keys->size(), 1U);
  EXPECT_TRUE(keys->verify("r", signature));
  EXPECT_FALSE(keys->verify("s", signature));
  EXPECT_FALSE(keys->verify("r", signature.substr(1)));
  for (const char* line : {"ssh-rsa AAAA x", "ssh-ed25519", "ssh-ed25519 AAAA", "nonsense"}) {
    write_file(folder.path("trust"), line);
    EXPECT_EQ(TrustedKeys::load(folder.path("trust")).status().code(), StatusCode::kCorrupt) << line;
  }
  EXPECT_EQ(TrustedKeys::load(folder.path("none")).status().code(), StatusCode::kNotFound);
}

TEST(Ed25519, RefusesWhatIsNoKey) {
  const TempDir folder;
  const std::string begin = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  const std::string end = "\n-----END OPENSSH PRIVATE KEY-----\n";
  const std::string magic("openssh-key-v1\0", 15);
  for (const std::string& text :
       {std::string(), std::string("hello"), begin + end, begin + "AAAA" + end, begin + base64_encode(magic) + end,
        begin + base64_encode(magic + std::string("\xff\xff\xff\xff", 4)) + end,
        std::string("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}) {
    write_file(folder.path("key"), text);
    EXPECT_EQ(SigningKey::load(folder.path("key")).status().code(), StatusCode::kCorrupt) << text;
  }
  if (std::system(("ssh-keygen -q -t ed25519 -N secret -f " + folder.path("locked")).c_str()) != 0) return;
  EXPECT_EQ(SigningKey::load(folder.path("locked")).status().code(), StatusCode::kUnsupported);
}

TEST(RegistryAuth, ReadsChallenges) {
  const auto full = parse_bearer_challenge(
      R"(Bearer realm="https://r.example/token",service="r, \"example\"",scope="repository:a:pull repository:b:push")");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->realm, "https://r.example/token");
  EXPECT_EQ(full->service, "r, \"example\"");
  EXPECT_EQ(full->scopes, (std::vector<std::string>{"repository:a:pull", "repository:b:push"}));
  EXPECT_EQ(parse_bearer_challenge("bearer realm=https://x/y, service=z")->service, "z");
  for (const char* other : {"", "Basic realm=\"x\"", "Bearer", "Bearer ", "Bearer realm", "Bearer service=\"x\"",
                            "Bearer =", "Bearer realm=\""}) {
    EXPECT_FALSE(parse_bearer_challenge(other)) << other;
  }
}

TEST(Urls, AreReadAndResolved) {
  EXPECT_TRUE(parse_url("https://A.example/x")->same_origin(*parse_url("https://a.example:443/y")));
  EXPECT_FALSE(parse_url("https://a.example/")->same_origin(*parse_url("http://a.example:443/")));
  EXPECT_FALSE(parse_url("https://a.example/")->same_origin(*parse_url("https://a.example:444/")));
  EXPECT_EQ(resolve_url("https://a.example/b/c?d", "../e")->text, "https://a.example/e");
  EXPECT_EQ(resolve_url("https://a.example/b", "//c.example/d")->host, "c.example");
  for (const char* bad : {"", "file:///etc/passwd", "https://", "gopher://x/", "https://me:pw@a.example/", "/x"}) {
    EXPECT_FALSE(parse_url(bad).ok()) << bad;
  }
  EXPECT_FALSE(resolve_url("https://a.example/b", "file:///etc/passwd").ok());
  EXPECT_EQ(percent_encode("a b/ü", true), "a%20b/%C3%BC");
  EXPECT_EQ(with_query("u?a=b", "c", "d&e"), "u?a=b&c=d%26e");
}

TEST(ContentRanges, AreReadExactly) {
  ContentRange range;
  ASSERT_TRUE(parse_content_range("bytes 5-9/100", &range));
  EXPECT_EQ(range.first, 5U);
  EXPECT_EQ(range.last, 9U);
  EXPECT_EQ(range.total, 100U);
  for (const char* bad : {"", "bytes", "bytes 5-9", "bytes 9-5/100", "bytes 5-100/100", "bytes 5-9/*", "bytes */100",
                          "bytes 5-9/100 ", "bytes -5-9/100", "bytes 5-9/99999999999999999999"}) {
    EXPECT_FALSE(parse_content_range(bad, &range)) << bad;
  }
}

}  // namespace
}  // namespace mlxr
