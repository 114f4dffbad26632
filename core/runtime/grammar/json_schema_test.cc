#include "core/runtime/grammar/json_schema.h"

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/grammar_testing.h"

namespace mlxr {
namespace {

using grammar_testing::matches;
using nlohmann::ordered_json;

std::shared_ptr<const Grammar> schema(const std::string& source,
                                      JsonWhitespace whitespace = JsonWhitespace::kFlexible) {
  GrammarOptions options;
  options.whitespace = whitespace;
  auto made = Grammar::from_json_schema(source, options);
  EXPECT_TRUE(made.ok()) << made.status().message() << "\n" << source;
  return made.ok() ? *made : nullptr;
}

// What the Python package jsonschema says of the same documents (scripts/make_grammar_golden.py).
TEST(JsonSchema, AgreesWithAValidator) {
  std::ifstream file(std::string(MLXR_SOURCE_DIR) + "/tests/fixtures/grammar/schemas.json");
  const auto cases = ordered_json::parse(file);
  ASSERT_GT(cases.size(), 100U);
  for (const auto& c : cases) {
    const std::string source = c["schema"].dump();
    const auto made = Grammar::from_json_schema(source);
    if (!made.ok()) {
      EXPECT_TRUE(c["valid"].empty()) << made.status().message() << "\n" << source;
      EXPECT_EQ(made.status().message(), "schema: the grammar matches no text") << source;
      continue;
    }
    for (const auto& document : c["valid"]) {
      EXPECT_TRUE(matches(*made, document.dump())) << source << "\nshould allow " << document.dump();
      EXPECT_TRUE(matches(*made, document.dump(2))) << source << "\nshould allow " << document.dump(2);
    }
    for (const auto& document : c["invalid"])
      EXPECT_FALSE(matches(*made, document.dump())) << source << "\nshould not allow " << document.dump();
  }
}

TEST(JsonSchema, WritesPropertiesInTheOrderDeclared) {
  const auto grammar = schema(R"({"type": "object", "required": ["z", "a"], "properties": {"b": {}, "a": {}}})");
  EXPECT_TRUE(matches(grammar, R"({"b":1,"a":1,"z":1,"c":1,"d":1})"));
  EXPECT_TRUE(matches(grammar, R"({"a":1,"z":1})"));
  EXPECT_FALSE(matches(grammar, R"({"a":1,"b":1,"z":1})"));
  EXPECT_FALSE(matches(grammar, R"({"z":1,"a":1})"));
  EXPECT_FALSE(matches(grammar, R"({"a":1,"z":1,"b":1})"));
}

TEST(JsonSchema, KeepsWhitespaceWithinBounds) {
  const char* source = R"({"type": "object", "properties": {"a": {"type": "array"}}, "additionalProperties": false})";
  const auto flexible = schema(source);
  const auto compact = schema(source, JsonWhitespace::kCompact);
  EXPECT_TRUE(matches(compact, R"({"a":[1,2]})"));
  EXPECT_FALSE(matches(compact, R"({"a": [1,2]})"));
  EXPECT_FALSE(matches(compact, "{ }"));
  EXPECT_TRUE(matches(flexible, "{ \"a\": [1, 2\n] }"));
  EXPECT_TRUE(matches(flexible, "{\n\n  \"a\":[\n\t\t1]\n}"));
  EXPECT_FALSE(matches(flexible, "{  }"));
  EXPECT_FALSE(matches(flexible, "{\n\n\n}"));
  EXPECT_FALSE(matches(flexible, " {}"));
  EXPECT_FALSE(matches(flexible, "{} "));
  EXPECT_FALSE(matches(flexible, "{\"a\" :[]}"));
}

TEST(JsonSchema, ReadsStringsAsJsonWritesThem) {
  const auto any = schema(R"({"type": "string"})");
  for (const char* good : {R"("")", R"("a\/\u00e9\"\\\b")", R"("\ud83d\ude00")", "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\""})
    EXPECT_TRUE(matches(any, good)) << good;
  for (const char* bad :
       {"\"\n\"", R"("\x")", R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", "\"\xc3\"", "\"\xed\xa0\x80\"", R"("\u12")"})
    EXPECT_FALSE(matches(any, bad)) << bad;
  // A character is one, however it is written.
  const auto two = schema(R"({"type": "string", "minLength": 2, "maxLength": 2})");
  for (const char* good : {R"("\n\u00e9")", R"("\ud83d\ude00x")", "\"\xf0\x9f\x98\x80\xc3\xa9\""})
    EXPECT_TRUE(matches(two, good)) << good;
  EXPECT_FALSE(matches(two, R"("\ud83d\ude00")"));
  const auto quoted = schema(R"({"type": "string", "pattern": "^[\"\\\\\\n\\u0001]{4}$"})");
  EXPECT_TRUE(matches(quoted, R"("\"\\\n\u0001")"));
  EXPECT_FALSE(matches(quoted, R"("\u0022\\\n\u0001")"));
}

TEST(JsonSchema, KnowsFormats) {
  struct Case {
    const char* format;
    std::vector<std::string> good, bad;
  };
  const Case cases[] = {
      {"email", {"a@b.org", "a.b+c@x-y.example"}, {"ab", "a@b@c", "@b.org", "a..b@c", "a@-b"}},
      {"hostname", {"a", "a-b.c1", std::string(63, 'a')}, {"", "-a", "a-", "a..b", "a_b", std::string(64, 'a')}},
      {"uri",
       {"http://a.b/c?d=e#f", "mailto:x@y.z", "urn:a:b", "http://[::1]:80/", "file:///x%20y"},
       {"", "a", "//a/b", "http://a b", "1a:b", "a:%zz"}},
      {"duration", {"P1D", "PT1H30M", "P1Y2M3DT4H5M6S", "P3W"}, {"P", "PT", "1D", "P1S", "P1DT", "P1W2D"}},
  };
  for (const Case& c : cases) {
    const auto grammar = schema(std::string(R"({"type": "string", "format": ")") + c.format + "\"}");
    for (const std::string& text : c.good)
      EXPECT_TRUE(matches(grammar, '"' + text + '"')) << c.format << " " << text;
    for (const std::string& text : c.bad)
      EXPECT_FALSE(matches(grammar, '"' + text + '"')) << c.format << " " << text;
  }
}

TEST(JsonSchema, AllowsAnyObject) {
  const auto made = Grammar::any_json_object();
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(matches(*made, R"({"a": [1, -2.5e+3, {"b": null}], "c": "\u00e9"})"));
  EXPECT_TRUE(matches(*made, "{}"));
  for (const char* bad : {"[]", "1", "{\"a\"}", "{\"a\":01}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1,}", "{,}", "{a:1}"})
    EXPECT_FALSE(matches(*made, bad)) << bad;
}

TEST(JsonSchema, HoldsLongLengths) {
  const auto grammar = schema(R"({"type": "string", "minLength": 300, "maxLength": 5000})");
  for (const std::size_t length : {299U, 300U, 511U, 512U, 4999U, 5000U, 5001U})
    EXPECT_EQ(matches(grammar, '"' + std::string(length, 'x') + '"'), length >= 300 && length <= 5000) << length;
}

TEST(JsonSchema, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "schema: [json.exception"},
      {"[]", "schema: # has to be a schema: an object, true or false"},
      {"{\"type\": \"strin\"}", "schema: #/type has to be the name of a type or a list of names"},
      {R"({"properties": {"a/b": {"not": {}}}})",
       "schema: the keyword 'not' at #/properties/a~1b/not is not supported"},
      {R"({"if": {}})", "schema: the keyword 'if' at #/if is not supported"},
      {R"({"items": {"uniqueItems": true}})",
       "schema: the keyword 'uniqueItems' at #/items/uniqueItems is not supported"},
      {R"({"contains": {}})", "schema: the keyword 'contains' at #/contains is not supported"},
      {R"({"dependentRequired": {}})",
       "schema: the keyword 'dependentRequired' at #/dependentRequired is not supported"},
      {R"({"items": [{}]})", "schema: a list at #/items is not supported: draft 2020-12 calls it prefixItems"},
      {R"({"$ref": "http://x.org/y"})", "schema: the reference at #/$ref leaves the document, which is not supported"},
      {R"({"$ref": "#/$defs/x"})", "schema: the reference #/$defs/x at #/$ref names nothing"},
      {R"({"$ref": "#"})", "schema: # refers to itself without end"},
      {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", "schema: # refers to itself without end"},
      {"{\"pattern\": \"(?=a)\"}", "schema: #/pattern: regular expression, byte 0: look-around is not supported"},
      {R"({"minimum": "1"})", "schema: #/minimum has to be a number"},
      {R"({"maxLength": -1})", "schema: #/maxLength has to be a whole number that is not negative"},
      {R"({"multipleOf": 0})", "schema: #/multipleOf has to be a number above zero"},
      {R"({"allOf": [{"type": "string"}, {"type": "null"}]})", "schema: the grammar matches no text"},
      {R"({"type": "array", "items": {"$ref": "#"}, "minItems": 1})", "schema: the grammar matches no text"},
      {R"({"a": "b)", "schema: [json.exception"},
  };
  for (const auto& [source, message] : cases) {
    const auto made = Grammar::from_json_schema(source);
    ASSERT_FALSE(made.ok()) << source;
    EXPECT_EQ(made.status().message().substr(0, std::string(message).size()), message) << source;
  }
  const auto deep = Grammar::from_json_schema(std::string(100'000, '['));
  EXPECT_EQ(deep.status().code(), StatusCode::kResourceExhausted);
  std::string product = R"({"allOf": [)";
  for (int i = 0; i < 40; ++i)
    product += R"({"anyOf": [{"minLength": 1}, {"minLength": 2}]},)";
  EXPECT_EQ(Grammar::from_json_schema(product + "{}]}").status().code(), StatusCode::kResourceExhausted);
}

TEST(JsonSchema, WarnsOfWhatIsLooser) {
  const auto warnings = [](const char* source) {
    const auto made = schema(source);
    return made == nullptr ? std::vector<std::string>{"error"} : made->warnings();
  };
  EXPECT_TRUE(
      warnings(R"({"title": "t", "description": "d", "default": 1, "examples": [], "$schema": "s", "$comment": "c",
                           "deprecated": true, "readOnly": true, "writeOnly": false, "uniqueItems": false})")
          .empty());
  EXPECT_EQ(warnings(R"({"type": "string", "format": "iri"})"),
            std::vector<std::string>{"schema: the format 'iri' at #/format is not enforced"});
  EXPECT_EQ(warnings(R"({"oneOf": [{"minimum": 1}, {"maximum": 5}]})"),
            std::vector<std::string>{"schema: oneOf at #/oneOf is enforced as anyOf: its alternatives may overlap"});
  EXPECT_TRUE(warnings(R"({"oneOf": [{"type": "string"}, {"type": "null"}]})").empty());
  EXPECT_TRUE(warnings(R"({"oneOf": [{"type": "object", "required": ["t"], "properties": {"t": {"const": 1}}},
                                     {"type": "object", "required": ["t"], "properties": {"t": {"const": 2}}}]})")
                  .empty());
}

TEST(GrammarRegex, AgreesWithPython) {
  std::ifstream file(std::string(MLXR_SOURCE_DIR) + "/tests/fixtures/grammar/regexes.json");
  const auto cases = ordered_json::parse(file);
  ASSERT_GT(cases.size(), 30U);
  for (const auto& c : cases) {
    const auto made = Grammar::from_regex(c["regex"].get<std::string>());
    if (!made.ok()) {
      EXPECT_TRUE(c["match"].empty()) << made.status().message() << " " << c["regex"];
      continue;
    }
    for (const auto& text : c["match"])
      EXPECT_TRUE(matches(*made, text.get<std::string>())) << c["regex"] << " should match " << text;
    for (const auto& text : c["no_match"])
      EXPECT_FALSE(matches(*made, text.get<std::string>())) << c["regex"] << " should not match " << text;
  }
}

TEST(GrammarRegex, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {{"(a)\\1", "byte 3: back-references are not supported"},
                                                       {"(?=a)", "byte 0: look-around is not supported"},
                                                       {"a\\b", "byte 1: \\b and \\B are not supported"},
                                                       {"\\p{L}", "byte 0: \\p{...} is not supported"},
                                                       {"(?i)a", "byte 0: inline flags are not supported"},
                                                       {"a++", "byte 2: possessive quantifiers are not supported"},
                                                       {"(?>a)", "byte 0: atomic groups are not supported"},
                                                       {"(a", "byte 2: expected )"},
                                                       {"a)", "byte 1: a ) without its ("},
                                                       {"[a", "byte 2: the character class has no closing bracket"},
                                                       {"*a", "byte 0: nothing to repeat"},
                                                       {"a**", "byte 2: a quantifier behind a quantifier"},
                                                       {"a{3,1}", "byte 1: the counts are backwards"},
                                                       {"[b-a]", "byte 4: the range of characters is backwards"},
                                                       {"\\q", "byte 2: an unknown escape \\q"},
                                                       {"a\\", "byte 1: an escape without its character"},
                                                       {"a{1000000}", "byte 1: the count is over the limit of 100000"}};
  for (const auto& [source, message] : cases) {
    const auto made = Grammar::from_regex(source);
    ASSERT_FALSE(made.ok()) << source;
    EXPECT_EQ(made.status().message(), std::string("regular expression, ") + message) << source;
  }
  // Its deterministic automaton has 2^30 states; the machine only makes those that texts reach.
  const auto large = Grammar::from_regex("(a|b)*a(a|b){30}");
  ASSERT_TRUE(large.ok()) << large.status().message();
  EXPECT_TRUE(matches(*large,
                      "bb"
                      "a" +
                          std::string(30, 'b')));
  EXPECT_FALSE(matches(*large,
                       "bb"
                       "b" +
                           std::string(30, 'a')));
}

TEST(GrammarChoices, AreTextsAndNothingElse) {
  const std::vector<std::string> choices{"positive", "negative", "neg", "", "\"*é"};
  const auto made = Grammar::from_choices(choices);
  ASSERT_TRUE(made.ok());
  for (const std::string& choice : choices)
    EXPECT_TRUE(matches(*made, choice)) << choice;
  for (const char* other : {"n", "negat", "positivenegative", "*"})
    EXPECT_FALSE(matches(*made, other)) << other;
  EXPECT_EQ(Grammar::from_choices({}).status().message(), "choices: there are none");
}

}  // namespace
}  // namespace mlxr
