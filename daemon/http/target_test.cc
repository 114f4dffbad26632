#include "daemon/http/target.h"

#include <gtest/gtest.h>

#include "daemon/http/origin_rules.h"

namespace mlxr::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(Target, IsDecoded) {
  struct Case {
    std::string target;
    std::string path;
    Pairs query = {};
    std::string authority = {};
  };
  for (const Case& c : std::vector<Case>{
           {"/", "/"},
           {"/a/b", "/a/b"},
           {"/a%20b", "/a b"},
           {"/a%2Fb", "/a/b"},
           {"/%e4%bd%a0", "/\xE4\xBD\xA0"},
           {"/a+b?c+d=e+f", "/a+b", {{"c d", "e f"}}},
           {"/x?a=1&b&&c=%3D%26&=v", "/x", {{"a", "1"}, {"b", ""}, {"c", "=&"}, {"", "v"}}},
           {"/x?", "/x"},
           {"/x?a=b?c", "/x", {{"a", "b?c"}}},
           {"/x?a=%0A", "/x", {{"a", "\n"}}},
           {"http://host:80/p?q=1", "/p", {{"q", "1"}}, "host:80"},
           {"HTTPS://h", "/", {}, "h"},
           {"http://h?q", "/", {{"q", ""}}, "h"},
           {"*", "*"},
           {"//x", "//x"},
           {"/...", "/..."},
       }) {
    const auto target = parse_target(c.target);
    ASSERT_TRUE(target.ok()) << c.target << ": " << target.status().message();
    EXPECT_EQ(target->path, c.path) << c.target;
    EXPECT_EQ(target->query, c.query) << c.target;
    EXPECT_EQ(target->authority, c.authority) << c.target;
  }
}

TEST(Target, IsRefused) {
  for (const std::string& target : std::vector<std::string>{"",
                                                            "a",
                                                            "a/b",
                                                            "/%",
                                                            "/%4",
                                                            "/%zz",
                                                            "/%00",
                                                            "/%0d",
                                                            "/%7F",
                                                            "/%C0%AF",
                                                            "/%ED%A0%80",
                                                            "/%FF",
                                                            "/.",
                                                            "/..",
                                                            "/a/../b",
                                                            "/a/%2e%2E/b",
                                                            "/%2e",
                                                            "/a b",
                                                            "/a\tb",
                                                            "/a\x80",
                                                            "/a#b",
                                                            "/a\\b",
                                                            "http://",
                                                            "http:///x",
                                                            "http://user@h/x",
                                                            "ftp://h/x",
                                                            "/?a=%",
                                                            "/?a=%00",
                                                            "/?a=%FF",
                                                            "**"}) {
    EXPECT_FALSE(parse_target(target).ok()) << target;
  }
  std::string many = "/?";
  for (int i = 0; i < 300; ++i)
    many += "a=1&";
  EXPECT_FALSE(parse_target(many).ok());
}

TEST(Hosts, AreToldApart) {
  struct Case {
    std::string host;
    std::vector<std::string> allowed;
    std::string bound;
    bool ok;
  };
  for (const Case& c : std::vector<Case>{
           {"localhost", {}, "127.0.0.1", true},
           {"LOCALHOST:8080", {}, "127.0.0.1", true},
           {"app.localhost:1", {}, "127.0.0.1", true},
           {"localhost.", {}, "127.0.0.1", true},
           {"127.0.0.1:11434", {}, "127.0.0.1", true},
           {"127.9.9.9", {}, "127.0.0.1", true},
           {"[::1]:80", {}, "::1", true},
           {"[::ffff:127.0.0.1]", {}, "::", true},
           {"10.0.0.1", {}, "127.0.0.1", false},
           {"10.0.0.1", {}, "10.0.0.1", true},
           {"10.0.0.2", {}, "10.0.0.1", false},
           {"10.0.0.2:5", {}, "0.0.0.0", true},
           {"[fe80::1]", {}, "::", true},
           {"evil.example", {}, "0.0.0.0", false},
           {"localhost.evil.example", {}, "127.0.0.1", false},
           {"127.0.0.1.evil.example", {}, "127.0.0.1", false},
           {"evillocalhost", {}, "127.0.0.1", false},
           {"2130706433", {}, "127.0.0.1", false},
           {"", {}, "127.0.0.1", false},
           {"localhost:99999999", {}, "127.0.0.1", false},
           {"localhost:1x", {}, "127.0.0.1", false},
           {"localhost/..", {}, "127.0.0.1", false},
           {"a@localhost", {}, "127.0.0.1", false},
           {"[::1", {}, "::1", false},
           {"[x]:1", {}, "::1", false},
           {"llm.example:443", {"llm.example"}, "127.0.0.1", true},
           {"LLM.example", {"llm.Example"}, "127.0.0.1", true},
           {"localhost", {"llm.example"}, "127.0.0.1", false},
           {"a.llm.example", {"llm.example"}, "127.0.0.1", false},
           {"a.llm.example", {"*.llm.example"}, "127.0.0.1", true},
           {"llm.example", {"*.llm.example"}, "127.0.0.1", false},
           {"anything", {"*"}, "127.0.0.1", true},
       }) {
    EXPECT_EQ(host_allowed(c.host, c.allowed, c.bound), c.ok) << c.host << " on " << c.bound;
  }
}

TEST(Origins, AreToldApart) {
  struct Case {
    std::string origin;
    std::vector<std::string> allowed;
    bool ok;
  };
  for (const Case& c : std::vector<Case>{
           {"https://a.example", {}, false},
           {"https://a.example", {"*"}, true},
           {"null", {"*"}, true},
           {"null", {"https://a.example"}, false},
           {"https://a.example", {"https://a.example"}, true},
           {"http://a.example", {"https://a.example"}, false},
           {"https://a.example:1", {"https://a.example"}, false},
           {"https://a.example.evil", {"https://a.example"}, false},
           {"http://localhost", {"http://localhost:*"}, true},
           {"http://localhost:3000", {"http://localhost:*"}, true},
           {"http://localhost:", {"http://localhost:*"}, false},
           {"http://localhost:80.evil", {"http://localhost:*"}, false},
           {"http://localhost.evil:80", {"http://localhost:*"}, false},
           {"app://anything", {"app://*"}, true},
           {"app://any/thing", {"app://*"}, false},
       }) {
    EXPECT_EQ(origin_allowed(c.origin, c.allowed), c.ok) << c.origin;
  }
  EXPECT_TRUE(same_origin("http://localhost:1", "localhost:1", false));
  EXPECT_FALSE(same_origin("http://localhost:1", "localhost:1", true));
  EXPECT_FALSE(same_origin("http://", "", false));
}

}  // namespace
}  // namespace mlxr::http
