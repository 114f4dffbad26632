#include "daemon/server/json_fields.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mlxr::server {
namespace {

TEST(JsonText, BrokenBodiesAreRefusedWithTheReason) {
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "has no body"},
      {" \r\n\t", "has no body"},
      {"{", "not JSON at byte 2"},
      {"{\"a\":1,}", "not JSON at byte 8"},
      {"{\"a\":1} x", "not JSON at byte 9"},
      {"{\"a\":NaN}", "not JSON at byte"},
      {"{\"a\":1e999}", "number overflow"},
      {"{\"a\":\"\xff\"}", "UTF-8"},
      {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "member \"a\" comes twice"},
      {deep, "nested more than 64 deep"},
      {"\xef\xbb\xbf", "not JSON"},
      {std::string("{\"a\":\"\0\"}", 9), "not JSON"},
  };
  for (const auto& [text, part] : cases) {
    const Result<Json> parsed = parse_json_text(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(part), std::string::npos) << parsed.status().message();
  }
}

TEST(JsonText, KeepsTheOrderOfMembersAndTakesTheLimitsOfDepth) {
  const std::string text = R"({"z":[1,-2,2.5,true,null,"é"],"a":{"c":{},"b":[]}})";
  const Result<Json> parsed = parse_json_text(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(json_text(*parsed), text);
  EXPECT_TRUE(parse_json_text(std::string(64, '[') + std::string(64, ']')).ok());
}

TEST(JsonText, ManyMembersTakeLinearTimeAndHaveALimit) {
  std::string text = "{";
  for (int i = 0; i < 100'001; ++i)
    text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  text += "}";
  const Result<Json> parsed = parse_json_text(text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.status().message().find("more than 100000 members"), std::string::npos);
}

TEST(JsonText, InvalidBytesAreReplacedOnTheWayOut) {
  EXPECT_EQ(json_text(Json("a\xff")), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(json_quoted("a\"\n"), "\"a\\\"\\n\"");
}

// What one read of field "x" of a body says.
struct ReadCase {
  std::string body;
  std::string error;  // empty: none
};

template <class Read>
void check(const std::vector<ReadCase>& cases, Read read) {
  for (const ReadCase& each : cases) {
    const Result<Json> body = parse_json_text(each.body);
    ASSERT_TRUE(body.ok());
    RequestNotes notes;
    JsonFields fields(*body, "", notes);
    read(fields);
    EXPECT_EQ(notes.error.has_value() ? notes.error->message : "", each.error) << each.body;
    if (notes.error.has_value()) {
      EXPECT_EQ(notes.error->kind, ApiErrorKind::kInvalidRequest);
    }
  }
}

TEST(JsonFields, TypesAndRangesAreChecked) {
  check({{R"({"x":5})", ""},
         {R"({"x":5.0})", ""},
         {R"({"x":null})", ""},
         {R"({})", ""},
         {R"({"x":5.5})", "field 'x' must be a whole number from 1 to 9; it is the number 5.5"},
         {R"({"x":"5"})", "field 'x' must be a whole number from 1 to 9; it is the string \"5\""},
         {R"({"x":true})", "field 'x' must be a whole number from 1 to 9; it is true"},
         {R"({"x":10})", "field 'x' must be a whole number from 1 to 9; it is the number 10"},
         {R"({"x":18446744073709551615})",
          "field 'x' must be a whole number from 1 to 9; it is the number 18446744073709551615"},
         {R"({"x":1e300})", "field 'x' must be a whole number from 1 to 9; it is the number 1e+300"}},
        [](JsonFields& fields) { fields.integer("x", {.min = 1, .max = 9}); });
  check({{R"({"x":1})", ""},
         {R"({"x":-0.5})", "field 'x' must be a number of at least 0; it is the number -0.5"},
         {R"({"x":[]})", "field 'x' must be a number of at least 0; it is an array"}},
        [](JsonFields& fields) { fields.number("x", {.min = 0.0}); });
  check({{R"({"x":false})", ""}, {R"({"x":0})", "field 'x' must be true or false; it is the number 0"}},
        [](JsonFields& fields) { fields.boolean("x"); });
  check({{R"({"x":"a"})", ""}, {R"({"x":{}})", "field 'x' must be a string; it is an object"}},
        [](JsonFields& fields) { fields.string("x"); });
  check({{R"({"x":"low"})", ""}, {R"({"x":"much"})", "field 'x' must be one of low, high; it is the string \"much\""}},
        [](JsonFields& fields) {
          fields.choice("x", {"low", "high"});
        });
  check({{R"({"x":"a"})", ""},
         {R"({"x":["a","b"]})", ""},
         {R"({"x":["a","b","c"]})", "field 'x' has 3 entries; 2 are allowed"},
         {R"({"x":["a",1]})", "field 'x[1]' must be a string; it is the number 1"},
         {R"({"x":1})", "field 'x' must be a string or an array of strings; it is the number 1"}},
        [](JsonFields& fields) { fields.strings("x", 2); });
  check({{R"({"x":[1,2147483647]})", ""},
         {R"({"x":[1,-1]})", "field 'x[1]' must be a token id; it is the number -1"},
         {R"({"x":[2147483648]})", "field 'x[0]' must be a token id; it is the number 2147483648"},
         {R"({"x":["a"]})", "field 'x[0]' must be a token id; it is the string \"a\""}},
        [](JsonFields& fields) { fields.tokens("x", 4); });
  check({{R"({"x":"m"})", ""},
         {R"({})", "field 'x' is missing"},
         {R"({"x":null})", "field 'x' is missing"},
         {R"([1])", "the request must be an object; it is an array"},
         {R"("abc")", "the request must be an object; it is the string \"abc\""}},
        [](JsonFields& fields) { fields.required_string("x"); });
}

TEST(JsonFields, WhatWasNotNamedIsReported) {
  const Json body = {{"known", 1}, {"a", 1}, {"b", nullptr}, {"slot", 3}, {"free", true}, {"grammar2", "x"}};
  RequestNotes notes;
  JsonFields fields(body, "", notes);
  EXPECT_EQ(fields.integer("known"), 1);
  const std::vector<KnownField> others = {{"slot", FieldTreatment::kWarn, "the server has no slots"},
                                          {"free", FieldTreatment::kSilent, ""},
                                          {"grammar2", FieldTreatment::kRefuse, "no such grammar"},
                                          {"absent", FieldTreatment::kRefuse, "never"}};
  fields.treat(others);
  fields.finish();
  EXPECT_EQ(notes.warnings,
            (std::vector<std::string>{"field 'slot' has no effect: the server has no slots",
                                      "unknown field 'a' was ignored", "unknown field 'b' was ignored"}));
  ASSERT_TRUE(notes.error.has_value());
  EXPECT_EQ(notes.error->kind, ApiErrorKind::kUnsupported);
  EXPECT_EQ(notes.error->message, "field 'grammar2' is not supported: no such grammar");
  EXPECT_EQ(notes.error->field, "grammar2");
}

TEST(JsonFields, ValuesThatAskForNothingAreTaken) {
  for (const char* value : {"null", "false", "0", "-1", "0.0", "\"\"", "[]", "{}"}) {
    const Result<Json> body = parse_json_text(std::string("{\"x\":") + value + "}");
    ASSERT_TRUE(body.ok());
    RequestNotes notes;
    JsonFields fields(*body, "", notes);
    const std::vector<KnownField> others = {{"x", FieldTreatment::kRefuse, "no"}};
    fields.treat(others);
    EXPECT_TRUE(notes.ok()) << value;
  }
}

TEST(JsonFields, UnknownFieldsAreCountedBeyondTheFirst) {
  Json body = Json::object();
  for (int i = 0; i < 40; ++i)
    body["f" + std::to_string(i)] = i;
  RequestNotes notes;
  JsonFields fields(body, "messages[0].", notes);
  fields.finish();
  ASSERT_EQ(notes.warnings.size(), 17U);
  EXPECT_EQ(notes.warnings[0], "unknown field 'messages[0].f0' was ignored");
  EXPECT_EQ(notes.warnings[16], "24 more unknown fields were ignored");
}

}  // namespace
}  // namespace mlxr::server
