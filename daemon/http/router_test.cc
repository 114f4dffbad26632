#include "daemon/http/router.h"

#include <gtest/gtest.h>

namespace mlxr::http {
namespace {

Router make_router() {
  Router router;
  const Handler nothing = [](const std::shared_ptr<Exchange>&) {};
  for (const auto& [method, pattern] : std::vector<std::pair<Method, std::string>>{
           {Method::kGet, "/"},
           {Method::kGet, "/v1/models"},
           {Method::kGet, "/v1/models/{id}"},
           {Method::kDelete, "/v1/models/{id}"},
           {Method::kGet, "/v1/models/special"},
           {Method::kGet, "/v1/{rest*}"},
           {Method::kHead, "/blobs/{digest}"},
           {Method::kGet, "/blobs/{digest}"},
           {Method::kPost, "/blobs/{digest}"},
           {Method::kGet, "/a/{x}/c"},
           {Method::kGet, "/a/b/{y}"},
       }) {
    router.add({.method = method, .pattern = pattern, .handler = nothing});
  }
  return router;
}

TEST(Router, FindsTheMostLiteralPattern) {
  const Router router = make_router();
  struct Case {
    Method method;
    std::string path;
    std::string pattern;  // empty: none
    std::map<std::string, std::string> captures = {};
  };
  for (const Case& c : std::vector<Case>{
           {Method::kGet, "/", "/"},
           {Method::kGet, "/v1/models", "/v1/models"},
           {Method::kGet, "/v1/models/abc", "/v1/models/{id}", {{"id", "abc"}}},
           {Method::kGet, "/v1/models/special", "/v1/models/special"},
           {Method::kDelete, "/v1/models/special", "/v1/models/{id}", {{"id", "special"}}},
           {Method::kGet, "/v1/models/a%2Fb", "/v1/models/{id}", {{"id", "a/b"}}},
           {Method::kGet, "/v1/models/a/b", "/v1/{rest*}", {{"rest", "models/a/b"}}},
           {Method::kGet, "/v1/", ""},
           {Method::kGet, "/v1", ""},
           {Method::kGet, "/v1/models/", "/v1/{rest*}", {{"rest", "models/"}}},
           {Method::kHead, "/v1/models", "/v1/models"},
           {Method::kHead, "/blobs/x", "/blobs/{digest}", {{"digest", "x"}}},
           {Method::kGet, "/a/b/c", "/a/b/{y}", {{"y", "c"}}},
           {Method::kGet, "/a/%62/c", "/a/b/{y}", {{"y", "c"}}},
           {Method::kGet, "/a/z/c", "/a/{x}/c", {{"x", "z"}}},
           {Method::kGet, "/a//c", ""},
           {Method::kGet, "/nothing", ""},
           {Method::kGet, "/v1/../v1/models", ""},
           {Method::kGet, "", ""},
       }) {
    const Router::Match match = router.find(c.method, c.path);
    ASSERT_EQ(match.route != nullptr, !c.pattern.empty()) << c.path;
    if (match.route == nullptr) continue;
    EXPECT_EQ(match.route->pattern, c.pattern) << c.path;
    EXPECT_EQ(match.captures, c.captures) << c.path;
  }
  EXPECT_EQ(router.find(Method::kHead, "/blobs/x").route->method, Method::kHead);
}

TEST(Router, SaysWhichMethodsAPathAllows) {
  const Router router = make_router();
  const Router::Match match = router.find(Method::kPut, "/blobs/x");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allowed, (std::vector{Method::kGet, Method::kHead, Method::kPost}));
  EXPECT_EQ(router.find(Method::kPost, "/v1/models/x").allowed,
            (std::vector{Method::kGet, Method::kHead, Method::kDelete}));
  EXPECT_TRUE(router.find(Method::kPost, "/none").allowed.empty());
}

TEST(Router, ShapesErrorsByTheLongestPrefix) {
  Router router;
  EXPECT_EQ(router.error("/x", 404, "no \"x\"\n").body, R"({"error":"no \"x\"\u000a"})");
  router.set_errors("/v1", [](int status, const std::string& text) { return text_response(status, "one " + text); });
  router.set_errors("/v1/messages",
                    [](int status, const std::string& text) { return text_response(status, "two " + text); });
  EXPECT_EQ(router.error("/v1/models", 404, "m").body, "one m");
  EXPECT_EQ(router.error("/v1/messages/x", 405, "m").body, "two m");
  EXPECT_EQ(router.error("/api", 400, "m").body, R"({"error":"m"})");
  EXPECT_EQ(router.error("/api", 400, "m").status, 400);
}

TEST(RouterDeathTest, RefusesTwoRoutesOfOnePattern) {
  const Handler nothing = [](const std::shared_ptr<Exchange>&) {};
  EXPECT_DEATH(
      {
        Router router;
        router.add({.method = Method::kGet, .pattern = "/a/{x}", .handler = nothing});
        router.add({.method = Method::kGet, .pattern = "/a/{y}", .handler = nothing});
      },
      "same method and pattern");
}

TEST(Fields, AreFoundWithoutRegardToCase) {
  Fields fields{{"Content-Type", "a"}, {"X", "1"}, {"x", "2"}};
  EXPECT_EQ(fields.find("content-type"), "a");
  EXPECT_EQ(fields.find("X"), "1");
  EXPECT_EQ(fields.find("Y"), std::nullopt);
  fields.set("x", "3");
  EXPECT_EQ(fields.entries().size(), 2U);
  EXPECT_EQ(fields.find("X"), "3");
}

}  // namespace
}  // namespace mlxr::http
