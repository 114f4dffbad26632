#!/usr/bin/env python3
"""Checks the sizes of files and functions and refuses names that say nothing.

    check_sizes.py [ROOT]

Prints a line for each thing over its soft limit (a warning) or hard limit (an error); exits 1 when there is an error.
"""

import os
import re
import sys

FILE_SOFT, FILE_HARD, TEST_FILE_HARD = 500, 800, 1000
FUNCTION_SOFT, FUNCTION_HARD = 100, 200
BANNED_WORDS = {"util", "utils", "misc", "helper", "helpers", "manager", "ctx", "common_utils"}

CODE = re.compile(r"\.(h|cc|cu|cuh|metal|mm)$")
SCRIPT = re.compile(r"\.(py|sh|ts|tsx|swift|js)$")
# Tables of data, not code: one row a line.
TABLE = re.compile(r"\.def$|_tables?\.(h|cc)$|_grids?\.(h|cc)$")
SKIPPED_FOLDERS = {"build", "fixtures", "corpus", "node_modules", "__pycache__"}
TOP_FOLDERS = ("core", "daemon", "cli", "bench", "tests", "scripts", "app", "sdks", "models", ".ci")

# What a brace may open that is no function: a type, a namespace, an initialiser, a control statement.
NOT_A_FUNCTION = re.compile(
    r"(^|[;{}\s])(namespace|class|struct|union|enum|extern|if|for|while|switch|do|else|try|catch)\b[^;{}]*$|[=,(\[]\s*$"
    r"|\breturn\s[^;]*$")


def strip_literals(text):
    """The text with comments and literals blanked, line for line."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^\s()\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)


def functions(text):
    """(first line, lines) of every function body that is not within another one. Preprocessor lines are skipped."""
    clean = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                   strip_literals(text), flags=re.M)
    found = []
    depth = 0
    open_at = None  # (depth, line) of the function that is open
    head_start = 0
    line = 1
    for position, char in enumerate(clean):
        if char == "\n":
            line += 1
        elif char == "{":
            head = clean[head_start:position]
            if open_at is None and ")" in head and NOT_A_FUNCTION.search(head.strip()) is None:
                blank = len(head) - len(head.lstrip())
                open_at = (depth, clean.count("\n", 0, head_start + blank) + 1)
            depth += 1
            head_start = position + 1
        elif char == "}":
            depth -= 1
            if open_at is not None and open_at[0] == depth:
                found.append((open_at[1], line - open_at[1] + 1))
                open_at = None
            head_start = position + 1
        elif char == ";":
            head_start = position + 1
    return found


def is_test(path):
    return path.startswith("tests/") or re.search(r"_test\.(cc|cu|py|ts|tsx)$", path) is not None


def check_file(path, text):
    """(errors, warnings) of one file."""
    errors, warnings = [], []
    stem = re.split(r"[._/-]", os.path.basename(path).lower())
    banned = BANNED_WORDS.intersection(stem)
    if banned:
        errors.append(f"{path}: the name says nothing ('{sorted(banned)[0]}')")
    if TABLE.search(path):
        return errors, warnings
    lines = text.count("\n")
    hard = TEST_FILE_HARD if is_test(path) else FILE_HARD
    if lines > hard:
        errors.append(f"{path}: {lines} lines, the limit is {hard}")
    elif lines > FILE_SOFT and not is_test(path):
        warnings.append(f"{path}: {lines} lines, the aim is {FILE_SOFT}")
    if CODE.search(path):
        for first, length in functions(text):
            if length > FUNCTION_HARD:
                errors.append(f"{path}:{first}: a function of {length} lines, the limit is {FUNCTION_HARD}")
            elif length > FUNCTION_SOFT:
                warnings.append(f"{path}:{first}: a function of {length} lines, the aim is {FUNCTION_SOFT}")
    return errors, warnings


def files(root):
    for top in TOP_FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            for name in sorted(names):
                if CODE.search(name) or SCRIPT.search(name) or TABLE.search(name):
                    yield os.path.relpath(os.path.join(folder, name), root)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    errors, warnings, count = [], [], 0
    for path in files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            new_errors, new_warnings = check_file(path, file.read())
        errors += new_errors
        warnings += new_warnings
        count += 1
    for warning in warnings:
        print("warning: " + warning)
    for error in errors:
        print("error: " + error)
    print(f"check_sizes: {count} files, {len(errors)} errors, {len(warnings)} warnings")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
