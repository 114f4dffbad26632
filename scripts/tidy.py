#!/usr/bin/env python3
"""Runs clang-tidy over the sources that a build folder compiles, as many at once as there are processors.

    tidy.py BUILD_FOLDER [FILE...]

A file that was clean is not checked again until it, a project file that it includes, its compile command or the list of
checks changes: the marks of clean files are in build/tidy. Exits 1 when a file is not clean.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
CLANG_TIDY_NAMES = ("clang-tidy-14", "clang-tidy", "/opt/homebrew/opt/llvm/bin/clang-tidy")
# Precompiled headers are the other compiler's; the warnings are the build's business.
DROPPED_WITH_VALUE = ("-o", "-MF", "-MT", "-include")
COMPILER = re.compile(r"(^|/)([\w-]*-)?(c\+\+|g\+\+|clang\+\+)(-\d+)?$")
DROPPED = ("-MD", "-Werror", "-Winvalid-pch", "-fpch-preprocess")


def find_clang_tidy():
    for name in CLANG_TIDY_NAMES:
        if shutil.which(name):
            return name
    raise SystemExit("tidy: clang-tidy is not installed: run scripts/install_deps.sh --dev")


def compile_arguments(entry):
    """The compiler's own arguments of an entry of compile_commands.json, without launcher, compiler and outputs."""
    words = shlex.split(entry["command"]) if "command" in entry else list(entry["arguments"])
    compiler = next(i for i, word in enumerate(words) if COMPILER.search(word))
    kept = []
    skip = False
    for word in words[compiler + 1:]:
        if skip:
            skip = False
        elif word in DROPPED_WITH_VALUE:
            skip = True
        elif word not in DROPPED and word not in ("-c", entry["file"]):
            kept.append(word)
    return kept


class Sources:
    """Contents of project files and what each includes, read once."""

    def __init__(self, root):
        self.root = root
        self.texts = {}

    def text(self, path):
        if path not in self.texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as file:
                    self.texts[path] = file.read()
            except OSError:
                self.texts[path] = None
        return self.texts[path]

    def closure(self, path):
        """`path` and every project file that it includes, directly or not, in a fixed order."""
        seen = []
        waiting = [path]
        while waiting:
            current = waiting.pop()
            if current in seen or self.text(current) is None:
                continue
            seen.append(current)
            waiting += INCLUDE.findall(self.text(current))
        return sorted(seen)


def key_of(sources, path, arguments, checks):
    digest = hashlib.sha256()
    for part in [checks, " ".join(arguments)]:
        digest.update(part.encode() + b"\0")
    for name in sources.closure(path):
        digest.update(name.encode() + b"\0" + sources.text(name).encode() + b"\0")
    return digest.hexdigest()


def check(tool, path, arguments):
    command = [tool, "--quiet", path, "--", *arguments, "-Wno-unknown-warning-option", "-Wno-everything"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, done.stdout.strip() or done.stderr.strip()


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
    build = os.path.abspath(sys.argv[1])
    only = {os.path.relpath(path, root) for path in sys.argv[2:]}
    os.chdir(root)
    tool = find_clang_tidy()
    with open(".clang-tidy", encoding="utf-8") as file:
        checks = file.read() + subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    marks = os.path.join(root, "build", "tidy")
    os.makedirs(marks, exist_ok=True)

    sources = Sources(root)
    work = []
    clean = 0
    listed = set()
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        path = os.path.relpath(entry["file"], root)
        if path in listed or path.startswith(("build", "..")) or (only and path not in only):
            continue
        listed.add(path)
        arguments = compile_arguments(entry)
        mark = os.path.join(marks, key_of(sources, path, arguments, checks))
        if os.path.exists(mark):
            clean += 1
        else:
            work.append((path, arguments, mark))

    failed = 0
    jobs = int(os.environ.get("JOBS", os.cpu_count() or 2))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(check, tool, path, arguments): (path, mark) for path, arguments, mark in work}
        for count, future in enumerate(concurrent.futures.as_completed(running), 1):
            path, mark = running[future]
            ok, report = future.result()
            print(f"[{count}/{len(work)}] clang-tidy {path}" + ("" if ok else ": FAILED"), flush=True)
            if ok:
                open(mark, "w", encoding="utf-8").close()
            else:
                failed += 1
                print(report, flush=True)
    print(f"tidy: {len(listed)} files, {failed} with findings, {clean} unchanged since they were clean")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
