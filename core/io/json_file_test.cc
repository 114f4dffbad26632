#include "core/io/json_file.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"

namespace mlxr {
namespace {

using nlohmann::json;

TEST(JsonFile, ErrorsNameTheFileAndTheByte) {
  struct Case {
    std::string text;
    const char* message;
    StatusCode code = StatusCode::kCorrupt;
  };
  const Case cases[] = {
      {"", "c.json: JSON ends too early, at byte 0"},
      {"{\"a\": 1", "c.json: JSON ends too early, at byte 7"},
      {"{\n\"a\": 1,\n}", "c.json: not valid JSON at byte 10 (line 3)"},
      {"{} {}", "c.json: not valid JSON at byte 3 (line 1)"},
      {"[\"\xff\"]", "c.json: not valid JSON at byte 2 (line 1)"},
      {"[1e999]", "c.json: a number in the JSON is out of range"},
      {"[NaN]", "c.json: not valid JSON at byte 1 (line 1)"},
      {"[[[[[1]]]]]", "c.json: JSON nests deeper than 4 at byte 4 (line 1)", StatusCode::kResourceExhausted},
      {std::string(1000, ' '), "c.json: 1000 bytes, more than the limit of 100", StatusCode::kResourceExhausted},
  };
  for (const Case& c : cases) {
    const auto document = parse_json(c.text, "c.json", {.max_bytes = 100, .max_depth = 4});
    ASSERT_FALSE(document.ok()) << c.text;
    EXPECT_EQ(document.status().message(), c.message);
    EXPECT_EQ(document.status().code(), c.code);
  }
}

TEST(JsonFile, BracketsInStringsAreNoNesting) {
  EXPECT_TRUE(parse_json(R"({"a": "[[[[\"[[[[", "b\\": [1]})", "c.json", {.max_depth = 2}).ok());
}

TEST(JsonFile, ReadsFiles) {
  const test::TempDir dir;
  test::write_file(dir.path("c.json"), "\xef\xbb\xbf{\"a\": 1}");
  const auto document = read_json_file(dir.path("c.json"));
  ASSERT_TRUE(document.ok()) << document.status().message();
  EXPECT_EQ(document->at("a"), 1);
  EXPECT_EQ(read_json_file(dir.path("none.json")).status().code(), StatusCode::kNotFound);
}

TEST(JsonFile, BareInfinityOfPython) {
  const auto document = parse_json(R"({"limit": [0.0, Infinity, -Infinity], "name": "Infinity"})", "c.json");
  ASSERT_TRUE(document.ok()) << document.status().message();
  const auto limits = json_floats(*document, "limit", "c.json");
  ASSERT_TRUE(limits.ok());
  EXPECT_EQ((*limits)[0], 0.0);
  EXPECT_EQ((*limits)[1], HUGE_VAL);
  EXPECT_EQ((*limits)[2], -HUGE_VAL);
  EXPECT_EQ(*json_string(*document, "name", "c.json"), "Infinity");
}

TEST(JsonFields, TypesAreChecked) {
  const json object = json::parse(
      R"({"u": 5, "i": -5, "f": 2.5, "whole": 2.0, "big": 18446744073709551615, "b": true, "s": "x", "n": null,
          "l": [1, -2], "t": ["a", "b"], "long": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})");
  const std::string path = "config.json";
  EXPECT_EQ(*json_uint(object, "u", path), 5U);
  EXPECT_EQ(*json_uint(object, "big", path), 18446744073709551615U);
  EXPECT_EQ(*json_int(object, "i", path), -5);
  EXPECT_EQ(*json_float(object, "f", path), 2.5);
  EXPECT_EQ(*json_float(object, "u", path), 5.0);
  EXPECT_EQ(*json_bool(object, "b", path), true);
  EXPECT_EQ(*json_string(object, "s", path), "x");
  EXPECT_EQ(*json_ints(object, "l", path), (std::vector<std::int64_t>{1, -2}));
  EXPECT_EQ(*json_strings(object, "t", path), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(json_find(object, "n"), nullptr);
  EXPECT_EQ(json_find(json::array(), "n"), nullptr);

  const std::pair<Status, const char*> errors[] = {
      {json_uint(object, "x", path).status(), "field \"x\" is missing"},
      {json_uint(object, "n", path).status(), "field \"n\" is missing"},
      {json_uint(object, "i", path).status(), "field \"i\" is -5, expected an unsigned integer"},
      {json_uint(object, "whole", path).status(), "field \"whole\" is 2.0, expected an unsigned integer"},
      {json_int(object, "big", path).status(), "field \"big\" is 18446744073709551615, expected an integer"},
      {json_float(object, "s", path).status(), "field \"s\" is \"x\", expected a number"},
      {json_bool(object, "u", path).status(), "field \"u\" is 5, expected true or false"},
      {json_string(object, "l", path).status(), "field \"l\" is an array of 2, expected a string"},
      {json_ints(object, "u", path).status(), "field \"u\" is 5, expected an array"},
      {json_ints(object, "t", path).status(), "field \"t[0]\" is \"a\", expected an integer"},
      {json_uint(object, "long", path).status(),
       "field \"long\" is \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..., expected an unsigned integer"},
  };
  for (const auto& [status, message] : errors)
    EXPECT_EQ(status.message(), path + ": " + message);
}

TEST(JsonFields, FallbacksAreForAbsenceOnly) {
  const json object = json::parse(R"({"n": null, "u": 5, "s": "x"})");
  EXPECT_EQ(*json_uint_or(object, "x", 7, "c"), 7U);
  EXPECT_EQ(*json_uint_or(object, "n", 7, "c"), 7U);
  EXPECT_EQ(*json_uint_or(object, "u", 7, "c"), 5U);
  EXPECT_FALSE(json_uint_or(object, "s", 7, "c").ok());
  EXPECT_EQ(*json_int_or(object, "x", -7, "c"), -7);
  EXPECT_EQ(*json_float_or(object, "x", 0.5, "c"), 0.5);
  EXPECT_EQ(*json_bool_or(object, "x", true, "c"), true);
  EXPECT_EQ(*json_string_or(object, "x", "d", "c"), "d");
}

}  // namespace
}  // namespace mlxr
