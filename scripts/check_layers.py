#!/usr/bin/env python3
"""Checks that each floor includes only what stands before it, in the sources and in the link lines of CMake.

    check_layers.py [ROOT]

Prints one line a violation and exits 1 when there is one.
"""

import os
import re
import sys

# Folder -> what it may include besides itself. The longest folder that holds a file is its floor.
FLOORS = {
    "core/base": [],
    "core/tensor": ["core/base"],
    "core/quant": ["core/tensor", "core/base"],
    "core/io": ["core/quant", "core/tensor", "core/base"],
    "core/backend": ["core/io", "core/quant", "core/tensor", "core/base"],
    "core/kernels/cpu": ["core/backend", "core/io", "core/quant", "core/tensor", "core/base"],
    "core/kernels/cuda": ["core/backend", "core/io", "core/quant", "core/tensor", "core/base"],
    "core/kernels/metal": ["core/backend", "core/io", "core/quant", "core/tensor", "core/base"],
    "core/graph": ["core/backend", "core/io", "core/quant", "core/tensor", "core/base"],
    "core/models": ["core/graph", "core/backend", "core/io", "core/quant", "core/tensor", "core/base"],
    "core/runtime": ["core/models", "core/graph", "core/kernels", "core/backend", "core/io", "core/quant",
                     "core/tensor", "core/base"],
    "daemon/scheduler": ["core"],
    "daemon/settings": ["core"],
    "daemon/telemetry": ["core"],
    "daemon/registry": ["core"],
    "daemon/access": ["daemon/registry", "daemon/settings", "core"],
    "daemon/service": ["daemon/access", "daemon/registry", "daemon/telemetry", "daemon/settings", "daemon/scheduler",
                       "core"],
    "daemon/http": ["core"],
    "daemon/server": ["daemon", "core"],
    "cli": ["daemon", "core"],
    "bench": ["cli", "daemon", "core"],
    "tests": ["bench", "cli", "daemon", "core"],
}

# Tests beside a floor may reach higher only where a row says so: models are tested on a real backend.
TEST_EXTRA = {"core/models": ["core/kernels/cpu"], "core/graph": ["core/kernels/cpu"]}
# Any test may use the shared test support.
TEST_SUPPORT = "tests/support"

# A third-party header -> folders where it may be included. Standard and system headers are not listed.
LIBRARIES = {
    r"fmt/": ["core", "daemon", "cli", "bench", "tests"],
    r"nlohmann/": ["core/io", "core/models", "core/runtime", "daemon", "cli", "bench", "tests"],
    r"pcre2(posix)?\.h|utf8proc\.h": ["core/runtime/tokenizer", "core/runtime/template"],
    r"CLI/": ["cli", "bench"],
    r"histedit\.h|editline/": ["cli"],
    r"gtest/|gmock/": ["tests"],
    r"benchmark/": ["bench"],
    r"cuda|cublas|nccl": ["core/kernels/cuda"],
    r"mlx/|Metal/": ["core/kernels/metal"],
    r"sqlite3\.h": ["daemon/registry"],
    r"boost/": ["daemon/http", "tests"],
    r"openssl/": ["core/runtime/kv", "daemon/access", "daemon/http", "daemon/registry"],
    r"curl/": ["daemon/registry", "daemon/telemetry", "cli"],
    r"yaml-cpp/": ["daemon/settings"],
    r"immintrin\.h|arm_neon\.h|x86intrin\.h|arm_sve\.h": ["core/kernels/cpu", "core/base", "bench"],
}

# Static library of CMake -> its folder.
TARGETS = {
    "mlxr_base": "core/base", "mlxr_tensor": "core/tensor", "mlxr_quant": "core/quant", "mlxr_io": "core/io",
    "mlxr_backend": "core/backend", "mlxr_kernels_cpu": "core/kernels/cpu", "mlxr_kernels_cuda": "core/kernels/cuda",
    "mlxr_kernels_metal": "core/kernels/metal", "mlxr_graph": "core/graph", "mlxr_models": "core/models",
    "mlxr_runtime": "core/runtime", "mlxr_scheduler": "daemon/scheduler", "mlxr_registry": "daemon/registry",
    "mlxr_telemetry": "daemon/telemetry", "mlxr_settings": "daemon/settings", "mlxr_access": "daemon/access",
    "mlxr_service": "daemon/service", "mlxr_http": "daemon/http", "mlxr_server": "daemon/server", "mlxr_cli": "cli",
}

SOURCE = re.compile(r"\.(h|cc|def|cu|cuh|metal|mm|inc)$")
INCLUDE = re.compile(r'^\s*#\s*(?:include|import)\s*([<"])([^">]+)[">]')
ROOTS = ("core", "daemon", "cli", "bench", "tests")


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def floor_of(path):
    """The longest folder of FLOORS that holds `path`; None when there is none."""
    holders = [floor for floor in FLOORS if within(path, floor)]
    return max(holders, key=len) if holders else None


def is_test(path):
    return re.search(r"(_test|_fuzz)\.(cc|cu)$|_test_[a-z]+\.h$", path) is not None or within(path, "tests")


def is_bench(path):
    return path.endswith("_bench.cc") or within(path, "bench")


def check_project_include(path, target):
    """Why `path` may not include `target`, or None."""
    floor = floor_of(path)
    if floor is None:
        return "stands on no floor: give its folder a row in scripts/check_layers.py"
    if within(target, floor) or any(within(target, allowed) for allowed in FLOORS[floor]):
        return None
    if is_test(path) and (within(target, TEST_SUPPORT) or any(within(target, t) for t in TEST_EXTRA.get(floor, []))):
        return None
    return f"{floor} may not include {target}"


def check_library_include(path, header):
    for pattern, folders in LIBRARIES.items():
        if re.match(pattern, header) is None:
            continue
        if is_test(path) and ("tests" in folders or any(within(path, folder) for folder in folders)):
            return None
        if is_bench(path) and "bench" in folders or any(within(path, folder) for folder in folders):
            return None
        return f"<{header}> stops at {', '.join(folders)}"
    return None


def check_text(path, text):
    """Violations of one source file as "path:line: reason"."""
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if match is None:
            continue
        quote, target = match.groups()
        if quote == "<":
            reason = check_library_include(path, target)
        elif target.split("/")[0] not in ROOTS:
            reason = f'"{target}" does not start at the repository root'
        else:
            reason = check_project_include(path, target)
        if reason is not None:
            problems.append(f"{path}:{number}: {reason}")
    return problems


def check_links(path, text):
    """Violations among `mlxr_floor(NAME ... DEPS target...)` of one CMake file."""
    problems = []
    for match in re.finditer(r"mlxr_floor\(\s*(\w+)([^)]*)\)", re.sub(r"#.*", "", text)):
        target = "mlxr_" + match.group(1)
        floor = TARGETS.get(target)
        if floor is None:
            problems.append(f"{path}: {target} has no row in scripts/check_layers.py")
            continue
        words = re.search(r"\bDEPS\s+([^)]*?)(?=\b(?:TEST_DEPS|LABEL|DIRS)\b|$)", match.group(2) + " ", re.S)
        for word in words.group(1).split() if words else []:
            linked = TARGETS.get(word)
            if linked is not None and not any(within(linked, allowed) for allowed in FLOORS[floor]):
                problems.append(f"{path}: {target} may not link {word}")
    return problems


def source_files(root):
    for top in ROOTS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in ("fixtures", "corpus", "__pycache__"))
            for name in sorted(names):
                if SOURCE.search(name) or name == "CMakeLists.txt":
                    yield os.path.relpath(os.path.join(folder, name), root)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    problems = []
    count = 0
    for path in source_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        problems += check_links(path, text) if path.endswith("CMakeLists.txt") else check_text(path, text)
        count += 1
    for problem in problems:
        print(problem)
    print(f"check_layers: {count} files, {len(problems)} violations")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
