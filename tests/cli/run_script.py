#!/usr/bin/env python3
"""Runs a text script against the built `mlxr`.

    run_script.py BIN_FOLDER SCRIPT

A script is a list of commands and what each must answer:

    # a remark
    need ../shared/data        skip the rest of the script unless this path exists (from the repository's root)
    $ mlxr inspect no.gguf     a shell command, run in an empty folder of its own; mlxr is on PATH, $SRC is the root
    | exact line of stdout     lines in order; none given: stdout must be empty
    |~ regular expression      a whole line of stdout
    | ...                      any number of lines
    ! exact line of stderr     the same for stderr (!~ and "! ..." too)
    json {"a": 1}              stdout is JSON that contains this: objects may have more members
    exit 1                     the exit code, 0 where not said

HOME is a folder of the script's own, so that settings, sockets and models of this machine play no part. A daemon that
a command started is told to stop at the end.

Exit code 77 means skipped.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
TIMEOUT_S = 120


class Step:
    def __init__(self, number, command):
        self.number = number
        self.command = command
        self.stdout = []
        self.stderr = []
        self.json = None
        self.exit = 0


def parse(path):
    """The script as a list of ("need", path) and ("step", Step)."""
    items = []
    step = None
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "$":
            step = Step(number, rest)
            items.append(("step", step))
        elif word == "need":
            items.append(("need", rest.strip()))
        elif step is None:
            raise SystemExit(f"{path}:{number}: '{word}' before the first command")
        elif word in ("|", "|~"):
            step.stdout.append((word == "|~", rest))
        elif word in ("!", "!~"):
            step.stderr.append((word == "!~", rest))
        elif word == "json":
            step.json = json.loads(rest)
        elif word == "exit":
            step.exit = int(rest)
        else:
            raise SystemExit(f"{path}:{number}: a line starts with $, |, |~, !, !~, json, exit, need or #")
    return items


def line_matches(pattern, line):
    is_regex, text = pattern
    return re.fullmatch(text, line) is not None if is_regex else text == line


def lines_match(patterns, lines):
    """True when `lines` are what `patterns` say; "..." stands for any number of lines."""
    if not patterns:
        return not lines
    if patterns[0] == (False, "..."):
        return any(lines_match(patterns[1:], lines[i:]) for i in range(len(lines) + 1))
    return bool(lines) and line_matches(patterns[0], lines[0]) and lines_match(patterns[1:], lines[1:])


def contains(actual, expected):
    """True when JSON `actual` is `expected`, or an object with at least its members. Lists match item by item."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(k in actual and contains(actual[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return (isinstance(actual, list) and len(actual) == len(expected)
                and all(contains(a, e) for a, e in zip(actual, expected)))
    return type(actual) is type(expected) and actual == expected


def problems_of(step, code, stdout, stderr):
    if code != step.exit:
        yield f"exit code {code}, expected {step.exit}"
    if step.json is not None:
        try:
            if not contains(json.loads(stdout), step.json):
                yield "stdout does not contain the JSON " + json.dumps(step.json)
        except ValueError as error:
            yield f"stdout is not JSON: {error}"
    elif not lines_match(step.stdout, stdout.splitlines()):
        yield "stdout differs"
    if not lines_match(step.stderr, stderr.splitlines()):
        yield "stderr differs"


def is_gone(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:
        return False  # a system without /proc


def stop_daemon(home):
    """Ends the daemon that a command started, and waits until it is gone."""
    try:
        with open(os.path.join(home, ".local/state/mlxrunner/mlxrunnerd.pid"), encoding="utf-8") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + TIMEOUT_S
        while not is_gone(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
    except (OSError, ValueError):
        pass  # there was none, or it is gone


def run(script, items, environment, root):
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        try:
            return run_items(script, items, dict(environment, HOME=home), root, folder)
        finally:
            stop_daemon(home)


def run_items(script, items, environment, root, folder):
    for kind, item in items:
        if kind == "need":
            if not os.path.exists(os.path.join(root, item)):
                print(f"skipped from here: {item} is not there")
                return SKIPPED
            continue
        done = subprocess.run(["bash", "-c", item.command], cwd=folder, env=environment, timeout=TIMEOUT_S,
                              stdin=subprocess.DEVNULL, capture_output=True)
        stdout = done.stdout.decode("utf-8", "replace")
        stderr = done.stderr.decode("utf-8", "replace")
        problems = list(problems_of(item, done.returncode, stdout, stderr))
        if problems:
            print(f"{script}:{item.number}: $ {item.command}")
            for problem in problems:
                print(f"  {problem}")
            print(f"--- exit {done.returncode}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
            return 1
        print(f"ok: $ {item.command}")
    return 0


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    bin_folder, script = sys.argv[1:]
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLXR_", "XDG_"))}
    environment.update(PATH=bin_folder + os.pathsep + os.environ["PATH"], SRC=root, LC_ALL="C.UTF-8", TERM="dumb",
                       SHARED=os.environ.get("MLXR_SHARED_DIR", os.path.join(root, "..", "shared")))
    sys.exit(run(script, parse(script), environment, root))


if __name__ == "__main__":
    main()
