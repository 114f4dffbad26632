import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "scripts"))
import check_sizes

SOURCE = """// { a comment with a brace
#define OPEN {
namespace mlxr {
namespace {

constexpr int kTable[] = {
    1,
    2,
};

struct Point {
  int x = 0;
  int norm() const { return x; }
};

}  // namespace

int run(const char* text) {
  if (text[0] == '{') {
    const auto inner = [](int value) {
      return value;
    };
    return inner(1);
  }
  return text == "}}}" ? 1 : 2;
}

TEST(Suite, Name) {
  run(R"(}})");
}

}  // namespace mlxr
"""


class Functions(unittest.TestCase):
    def test_finds_bodies_and_their_lengths(self):
        self.assertEqual(check_sizes.functions(SOURCE), [(13, 1), (18, 9), (28, 3)])


class Files(unittest.TestCase):
    def test_limits(self):
        for path, lines, errors, warnings in [
            ("core/a.cc", 500, 0, 0),
            ("core/a.cc", 501, 0, 1),
            ("core/a.cc", 800, 0, 1),
            ("core/a.cc", 801, 1, 0),
            ("core/a_test.cc", 1000, 0, 0),
            ("core/a_test.cc", 1001, 1, 0),
            ("core/quant/iq_grids.h", 5000, 0, 0),
        ]:
            found = check_sizes.check_file(path, "int a;\n" * lines)
            self.assertEqual([len(part) for part in found], [errors, warnings], (path, lines))

    def test_long_functions(self):
        body = "  x();\n"
        self.assertEqual(check_sizes.check_file("a.cc", "void f() {\n" + body * 98 + "}\n"), ([], []))
        self.assertEqual(check_sizes.check_file("a.cc", "void f() {\n" + body * 99 + "}\n"),
                         ([], ["a.cc:1: a function of 101 lines, the aim is 100"]))
        self.assertEqual(check_sizes.check_file("a.cc", "\nvoid f() {\n" + body * 199 + "}\n"),
                         (["a.cc:2: a function of 201 lines, the limit is 200"], []))

    def test_names_that_say_nothing(self):
        self.assertEqual(len(check_sizes.check_file("core/base/string_utils.h", "")[0]), 1)
        self.assertEqual(len(check_sizes.check_file("core/base/misc.cc", "")[0]), 1)
        self.assertEqual(check_sizes.check_file("core/base/utilisation.cc", ""), ([], []))


if __name__ == "__main__":
    unittest.main()
