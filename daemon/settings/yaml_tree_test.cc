#include "daemon/settings/yaml_tree.h"

#include <gtest/gtest.h>

namespace mlxr {
namespace {

std::string error_of(const std::string& text) {
  const Result<YamlNode> tree = parse_yaml(text, "f");
  return tree.ok() ? "" : tree.status().message();
}

TEST(YamlTree, KeepsScalarsAsText) {
  const Result<YamlNode> tree =
      parse_yaml("# c\na: off\nb: [1, '2, 3', {c: 0x10}]\nd:\n  - |\n    x\n    y\ne:\n", "f");
  ASSERT_TRUE(tree.ok()) << tree.status().message();
  ASSERT_EQ(tree->entries.size(), 4U);
  EXPECT_EQ(tree->find("a")->text, "off");
  EXPECT_EQ(tree->find("b")->items[1].text, "2, 3");
  EXPECT_EQ(tree->find("b")->items[2].find("c")->text, "0x10");
  EXPECT_TRUE(tree->find("b")->flow);
  EXPECT_FALSE(tree->flow);
  EXPECT_EQ(tree->find("d")->items[0].text, "x\ny\n");
  EXPECT_EQ(tree->find("e")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(tree->entries[1].first.line, 3);
  EXPECT_EQ(tree->find("x"), nullptr);
}

TEST(YamlTree, EmptyDocumentsAreNull) {
  for (const char* text : {"", "\n\n", "# only\n", "---\n", "~\n"}) {
    const Result<YamlNode> tree = parse_yaml(text, "f");
    ASSERT_TRUE(tree.ok()) << text << tree.status().message();
    EXPECT_EQ(tree->kind, YamlNode::Kind::kNull) << text;
  }
}

struct BadCase {
  std::string text;
  std::string error;  // its beginning
};

TEST(YamlTree, Refuses) {
  std::string deep;
  for (int i = 0; i < 20; ++i)
    deep += std::string(static_cast<std::size_t>(i) * 2, ' ') + "a:\n";
  std::string many = "a:\n";
  for (int i = 0; i < 30000; ++i)
    many += " - 1\n";
  const BadCase cases[] = {
      {"a: &x 1\nb: *x\n", "f:1: anchors are not allowed"},
      {"a: *x\n", "f:1: the referenced anchor is not defined"},
      {"a: !!int 1\n", "f:1: tags are not allowed"},
      {"a: 1\nb: 2\na: 3\n", "f:3: the key \"a\" is given twice"},
      {"a: 1\n---\nb: 2\n", "f:2: a second document begins here"},
      {"? [a]\n: 1\n", "f:1: a key is not a plain name"},
      {"a: [1\n", "f:2: end of sequence flow not found"},
      {"a:\n\t- 1\n", "f:2: "},
      {"a: \"\\q\"\n", "f:1: unknown escape character: q"},
      {"a: 1\n b: 2\n", "f:2: "},
      {deep, "f:17: values are nested more than 16 deep"},
      {many, "f:"},
      {"a: " + std::string(200, '['), "f:1: too many brackets are open"},
      {"a: 1\nb: \xff\n", "f:2: is not UTF-8 text"},
      {std::string("a: 1\n\0b", 7), "f:2: is not UTF-8 text"},
      {std::string(kMaxYamlBytes + 1, ' '), "f: is larger than 262144 bytes"},
  };
  for (const BadCase& c : cases) {
    const std::string error = error_of(c.text);
    EXPECT_TRUE(error.starts_with(c.error)) << c.text.substr(0, 40) << " -> " << error;
    EXPECT_FALSE(error.empty()) << c.text.substr(0, 40);
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(YamlScalar, ReadsBack) {
  for (const char* text :
       {"",   "a",  "off",   "null",        "~",           "a: b",   "a #b",         "[x]",      "-",
        "-1", "-a", "\"q\"", "it's",        "*x",          "&x",     "127.0.0.1:80", "[::1]:80", "::1",
        "a:", "%x", "@x",    "caf\xC3\xA9", "back\\slash", "  lead", "tab\there",    "{a}",      "a,b",
        "!x", "|",  ">",     "?",           "? a",         "=",      "<<",           "---",      "..."}) {
    for (const char* frame : {"k: ", "k: ["}) {
      const bool flow = std::string(frame).ends_with('[');
      const Result<YamlNode> tree = parse_yaml(frame + yaml_scalar(text) + (flow ? ", x]" : ""), "f");
      ASSERT_TRUE(tree.ok()) << text << ": " << tree.status().message();
      const YamlNode& value = flow ? tree->find("k")->items.at(0) : *tree->find("k");
      EXPECT_EQ(value.kind, YamlNode::Kind::kScalar) << text;
      EXPECT_EQ(value.text, text);
    }
  }
}

}  // namespace
}  // namespace mlxr
