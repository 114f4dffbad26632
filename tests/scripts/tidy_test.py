import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "scripts"))
import tidy


class CompileCommands(unittest.TestCase):
    def test_keeps_what_says_how_to_read_the_source(self):
        for compiler in ["/usr/bin/c++", "/usr/bin/ccache /usr/bin/c++", "ccache aarch64-linux-gnu-g++-12", "clang++-14"]:
            entry = {
                "file": "/src/core/a.cc",
                "command": compiler + " -DX=\\\"1\\\" -I/src -O2 -Werror -std=c++20 -include /b/cmake_pch.hxx -MD -MT a.o"
                                      " -MF a.o.d -o a.o -c /src/core/a.cc",
            }
            self.assertEqual(tidy.compile_arguments(entry), ['-DX="1"', "-I/src", "-O2", "-std=c++20"])


class Keys(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.write("a.cc", '#include "a.h"\n#include <vector>\n')
        self.write("a.h", '#include "b.h"\n')
        self.write("b.h", '#include "a.h"\nint b;\n')
        self.write("other.h", "int other;\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        with open(os.path.join(self.folder.name, name), "w", encoding="utf-8") as file:
            file.write(text)

    def key(self, arguments=("-O2",), checks="checks"):
        return tidy.key_of(tidy.Sources(self.folder.name), "a.cc", list(arguments), checks)

    def test_included_files_are_found_once(self):
        self.assertEqual(tidy.Sources(self.folder.name).closure("a.cc"), ["a.cc", "a.h", "b.h"])

    def test_the_key_changes_with_what_clang_tidy_sees_and_nothing_else(self):
        first = self.key()
        self.write("other.h", "int changed;\n")
        self.assertEqual(self.key(), first)
        self.assertNotEqual(self.key(arguments=["-O1"]), first)
        self.assertNotEqual(self.key(checks="more"), first)
        self.write("b.h", "int changed;\n")
        self.assertNotEqual(self.key(), first)


if __name__ == "__main__":
    unittest.main()
