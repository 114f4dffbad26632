import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "cli"))
import run_script


class Matching(unittest.TestCase):
    def test_lines(self):
        exact, regex, any_lines = (False, "a"), (True, "b+"), (False, "...")
        for patterns, lines, expected in [
            ([], [], True),
            ([], ["a"], False),
            ([exact], ["a"], True),
            ([exact], ["a", "a"], False),
            ([exact, regex], ["a", "bbb"], True),
            ([regex], ["abb"], False),
            ([any_lines], [], True),
            ([any_lines, exact], ["x", "y", "a"], True),
            ([any_lines, exact], ["x", "a", "y"], False),
            ([exact, any_lines], ["a", "y"], True),
        ]:
            self.assertEqual(run_script.lines_match(patterns, lines), expected, (patterns, lines))

    def test_json(self):
        actual = {"a": 1, "b": [{"c": "x", "d": 2.5}, None]}
        for expected, result in [
            ({}, True),
            ({"a": 1}, True),
            ({"a": 1.0}, False),
            ({"a": True}, False),
            ({"z": 1}, False),
            ({"b": [{"d": 2.5}, None]}, True),
            ({"b": [{"d": 2.5}]}, False),
        ]:
            self.assertEqual(run_script.contains(actual, expected), result, expected)


class Scripts(unittest.TestCase):
    def run_text(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(text)
            file.flush()
            sys.stdout, stdout = open(os.devnull, "w", encoding="utf-8"), sys.stdout
            try:
                return run_script.run(file.name, run_script.parse(file.name), dict(os.environ), "/")
            finally:
                sys.stdout.close()
                sys.stdout = stdout

    def test_a_script_passes_fails_or_is_skipped(self):
        self.assertEqual(self.run_text("# remark\n$ printf 'a\\nb\\n'\n| a\n|~ [b]\n"), 0)
        self.assertEqual(self.run_text("$ echo x >&2; exit 3\n! x\nexit 3\n"), 0)
        self.assertEqual(self.run_text("$ echo x >&2\n"), 1)
        self.assertEqual(self.run_text("$ exit 1\n"), 1)
        self.assertEqual(self.run_text('$ echo \'{"a": [1], "b": 2}\'\njson {"a": [1]}\n'), 0)
        self.assertEqual(self.run_text("need no/such/path\n$ false\n"), run_script.SKIPPED)


if __name__ == "__main__":
    unittest.main()
