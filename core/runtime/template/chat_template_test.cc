#include "core/runtime/template/chat_template.h"

#include <ctime>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"

namespace mlxr {
namespace {

using Json = nlohmann::ordered_json;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The moment at which all goldens were made.
RenderOptions golden_options() {
  RenderOptions options;
  std::tm now{};
  now.tm_year = 2026 - 1900;
  now.tm_mon = 0;
  now.tm_mday = 15;
  now.tm_hour = 10;
  now.tm_min = 30;
  now.tm_wday = 4;
  now.tm_yday = 14;
  options.now = now;
  return options;
}

Result<std::string> render(const std::string& source, const Json& variables) {
  Result<ChatTemplate> made = ChatTemplate::parse(source);
  if (!made.ok()) return made.status();
  return made->render(variables, golden_options());
}

// What a golden error says: Python's class, then its message.
struct PythonError {
  std::string type;
  std::string message;

  // Jinja words syntax errors after its own parser; ours only have to be errors with a place.
  bool is_syntax() const {
    return type == "TemplateSyntaxError" || type == "TemplateAssertionError" || type == "SyntaxError";
  }
};

PythonError python_error(const std::string& text) {
  const std::size_t colon = text.find(": ");
  return {text.substr(0, colon), text.substr(colon + 2)};
}

void expect_golden(const std::string& source, const Json& variables, const Json& entry) {
  const Result<std::string> text = render(source, variables);
  if (entry.contains("text")) {
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_EQ(*text, entry.at("text").get<std::string>());
    return;
  }
  ASSERT_FALSE(text.ok()) << "rendered: " << *text;
  const PythonError error = python_error(entry.at("error"));
  const std::string& message = text.status().message();
  EXPECT_EQ(message.find("chat template: line "), 0U) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  if (!error.is_syntax()) {
    EXPECT_NE(message.find(error.message), std::string::npos) << message << "\nexpected: " << error.message;
  }
}

// Snippets over every part of the language; see scripts/make_template_golden.py.
TEST(ChatTemplateTest, LanguageMatchesJinja2) {
  const Json golden = Json::parse(read_file(test::fixture("template/language.json")));
  ASSERT_GT(golden.at("cases").size(), 160U);
  for (const Json& entry : golden.at("cases")) {
    const std::string source = entry.at("template");
    SCOPED_TRACE(source);
    expect_golden(source, golden.at("variables"), entry);
  }
}

TEST(ChatTemplateTest, RendersSprout) {
  const Json golden = Json::parse(read_file(test::fixture("template/sprout.json")));
  ASSERT_EQ(golden.at("cases").size(), 11U);
  for (const Json& entry : golden.at("cases")) {
    SCOPED_TRACE(entry.at("vars").dump());
    expect_golden(golden.at("template"), entry.at("vars"), entry);
  }
}

// Real templates of 38 models, rendered by Jinja2 with Hugging Face's settings.
TEST(ChatTemplateTest, RealTemplatesMatchJinja2) {
  const auto folder = test::shared("data/chat-templates");
  if (!folder) GTEST_SKIP() << "needs data/chat-templates of the shared material";
  const Json golden = Json::parse(read_file(*folder + "/golden.json"));
  ASSERT_EQ(golden.size(), 456U);
  for (const Json& entry : golden) {
    const std::string name = entry.at("template");
    SCOPED_TRACE(name + " " + entry.at("case").get<std::string>());
    expect_golden(read_file(*folder + "/" + name), entry.at("vars"), entry);
  }
}

TEST(ChatTemplateTest, ErrorsNameTheirPlace) {
  const struct {
    std::string source;
    std::string message;
  } kCases[] = {
      {"a\nbé {{ x.y.z }}", "chat template: line 2, column 8: 'x' is undefined"},
      {"\n\n{% if %}", "chat template: line 3, column 7: unexpected '%}'"},
      {"{% for x in 3 %}{% endfor %}", "chat template: line 1, column 1: 'int' object is not iterable"},
      {"{{ 1 }\n", "chat template: line 1, column 6: unexpected '}'"},
      {"{{ raise_exception('No\nsystem') }}", "chat template: line 1, column 19: No system"},
      {"{% include 'x' %}",
       "chat template: line 1, column 1: a chat template stands alone: {% include %} is not supported"},
  };
  for (const auto& entry : kCases) {
    SCOPED_TRACE(entry.source);
    const Result<std::string> text = render(entry.source, Json::object());
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.status().message(), entry.message);
  }
}

std::string repeated(const std::string& piece, int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += piece;
  return out;
}

// Each would hang, overflow the stack or fill the memory without a bound.
TEST(ChatTemplateTest, HostileTemplatesEndWithAnError) {
  const std::string kLoops = "{% for a in range(100000) %}";
  const std::string kSources[] = {
      kLoops + kLoops + kLoops + "{% endfor %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}" + kLoops + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}" + kLoops + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}" + kLoops + "{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=(1,)) %}" + repeated("{% set ns.x = (ns.x, ns.x) %}", 60) + "{{ ns.x }}",
      "{% set ns = namespace(x=(1,)) %}" + repeated("{% set ns.x = (ns.x, ns.x) %}", 60) + "{{ ns.x | tojson }}",
      "{% set ns = namespace(x=(1,), y=(1,)) %}" +
          repeated("{% set ns.x = (ns.x, ns.x) %}{% set ns.y = (ns.y, ns.y) %}", 60) + "{{ ns.x == ns.y }}",
      "{% set ns = namespace(x=(1,)) %}" + repeated("{% set ns.x = (ns.x, ns.x) %}", 60) + "{{ {ns.x: 1} }}",
      "{{ 'x' * 10000000000 }}",
      "{{ [0] * 10000000000 }}",
      "{{ 2 ** 1000000000000 }}",
      "{{ '%100000000d' % 1 }}",
      "{{ '{:100000000}'.format(1) }}",
      "{{ 'x'.ljust(100000000000) }}",
      "{{ 'x'.center(100000000000) }}",
      "{{ 'x'.zfill(100000000000) }}",
      "{{ '\t'.expandtabs(100000000000) }}",
      "{{ 'x' | indent(100000000000) }}",
      "{{ [1] | tojson(indent=100000000000) }}",
      "{{ [1] | batch(100000000000, 1) | list }}",
      "{{ [1] | slice(100000000000) | list }}",
      "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
      "{{ ('a' * 100000).join('b' * 100000) }}",
      kLoops + "{{ 'a' * 10000 }}{% endfor %}",
      kLoops + "{{ ('a' * 1000000 ~ 'b') in ('a' * 2000000) }}{% endfor %}",
      "{{ " + repeated("(", 100000) + "1" + repeated(")", 100000) + " }}",
      "{{ " + repeated("[", 100000),
      "{{ " + repeated("-", 100000) + "1 }}",
      "{{ " + repeated("not ", 100000) + "1 }}",
      "{{ x" + repeated(".x", 100000) + " }}",
      "{{ x" + repeated(" | e", 100000) + " }}",
      "{{ 1" + repeated(" if 1 else 1", 100000) + " }}",
      repeated("{% if 1 %}", 100000),
      "{% for " + repeated("(", 100000) + "a",
  };
  RenderOptions options;  // a hundredth of the usual limits reaches them as surely, and sooner
  options.limits.max_work /= 100;
  options.limits.max_value_bytes /= 10;
  for (const std::string& source : kSources) {
    SCOPED_TRACE(source.substr(0, 120));
    const Result<ChatTemplate> made = ChatTemplate::parse(source);
    if (!made.ok()) continue;
    const Result<std::string> text = made->render(Json::object(), options);
    EXPECT_FALSE(text.ok());
  }
}

TEST(ChatTemplateTest, LongChainsAreNotNesting) {
  const Result<std::string> text =
      render("{{ 0" + repeated(" + 1", 20000) + " }}{{ ''" + repeated(" ~ 'a'", 5) + " }}" + "{% if 0 %}" +
                 repeated("{% elif 0 %}", 20000) + "{% else %}end{% endif %}",
             Json::object());
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_EQ(*text, "20000aaaaaend");
}

TEST(ChatTemplateTest, RefusesVariablesThatAreNestedTooDeeply) {
  Json deep = 1;
  for (int i = 0; i < 1000; ++i)
    deep = Json::array({deep});
  const Result<std::string> text = render("{{ x }}", {{"x", deep}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.status().code(), StatusCode::kResourceExhausted);
}

TEST(ChatTemplateTest, LimitsCanBeSet) {
  const Result<ChatTemplate> made = ChatTemplate::parse("{% for i in range(1000) %}0123456789{% endfor %}");
  ASSERT_TRUE(made.ok());
  RenderOptions options;
  EXPECT_TRUE(made->render(Json::object(), options).ok());
  options.limits.max_output_bytes = 9999;
  EXPECT_FALSE(made->render(Json::object(), options).ok());
  options.limits = {};
  options.limits.max_work = 1000;
  EXPECT_FALSE(made->render(Json::object(), options).ok());
}

TEST(ChatTemplateTest, NullIsNoneAndAbsentIsUndefined) {
  const Result<std::string> text = render("{{ x is defined }} {{ x is none }} {{ y is defined }}", {{"x", nullptr}});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "True True False");
}

TEST(ChatTemplateTest, KnowsWhichVariablesItMentions) {
  const Result<ChatTemplate> made = ChatTemplate::parse("{% if tools %}{{ messages[0].content }}{% endif %}");
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(made->mentions("tools"));
  EXPECT_TRUE(made->mentions("messages"));
  EXPECT_FALSE(made->mentions("enable_thinking"));
}

TEST(ChatTemplateTest, TextThatIsNotUtf8IsCarriedAlong) {
  const Json variables = {{"x", "a\xff\xfe z\x80"}};
  const Result<std::string> text = render("{{ x }}|{{ x | upper }}|{{ x | trim }}|{{ x[::-1] | length }}", variables);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "a\xff\xfe z\x80|A\xff\xfe z\x80|a\xff\xfe z\x80|5");
}

}  // namespace
}  // namespace mlxr
