import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "scripts"))
import check_layers


class Includes(unittest.TestCase):
    def check(self, path, include, problem):
        found = check_layers.check_text(path, f"#include {include}\n")
        self.assertEqual([line.split(": ", 1)[1] for line in found], [problem] if problem else [], (path, include))

    def test_floors(self):
        for path, include, problem in [
            ("core/quant/quant.cc", '"core/base/status.h"', None),
            ("core/quant/quant.cc", '"core/quant/plain.h"', None),
            ("core/base/status.cc", '"core/tensor/shape.h"', "core/base may not include core/tensor/shape.h"),
            ("core/kernels/cpu/a.cc", '"core/kernels/cuda/b.h"',
             "core/kernels/cpu may not include core/kernels/cuda/b.h"),
            ("core/models/llama.cc", '"core/kernels/cpu/cpu_backend.h"',
             "core/models may not include core/kernels/cpu/cpu_backend.h"),
            ("core/models/llama_test.cc", '"core/kernels/cpu/cpu_backend.h"', None),
            ("core/runtime/engine.cc", '"core/kernels/cpu/cpu_backend.h"', None),
            ("core/runtime/engine.cc", '"cli/output.h"', "core/runtime may not include cli/output.h"),
            ("daemon/scheduler/a.cc", '"daemon/registry/b.h"', "daemon/scheduler may not include daemon/registry/b.h"),
            ("cli/commands/run.cc", '"core/runtime/engine.h"', None),
            ("core/io/gguf_test.cc", '"tests/support/paths.h"', None),
            ("core/io/gguf.cc", '"tests/support/paths.h"', "core/io may not include tests/support/paths.h"),
            ("core/io/gguf.cc", '"status.h"', '"status.h" does not start at the repository root'),
            ("core/other/x.cc", '"core/base/status.h"',
             "stands on no floor: give its folder a row in scripts/check_layers.py"),
        ]:
            self.check(path, include, problem)

    def test_libraries(self):
        self.check("core/base/status.cc", "<vector>", None)
        self.check("core/base/status.cc", "<fmt/core.h>", None)
        self.check("core/quant/quant.cc", "<nlohmann/json.hpp>",
                   "<nlohmann/json.hpp> stops at core/io, core/models, core/runtime, daemon, cli, bench, tests")
        self.check("core/quant/quant_test.cc", "<nlohmann/json.hpp>", None)
        self.check("core/runtime/tokenizer/bpe.cc", "<pcre2.h>", None)
        self.check("core/runtime/engine.cc", "<pcre2.h>",
                   "<pcre2.h> stops at core/runtime/tokenizer, core/runtime/template")
        self.check("core/io/gguf.cc", "<gtest/gtest.h>", "<gtest/gtest.h> stops at tests")
        self.check("core/io/gguf_test.cc", "<gtest/gtest.h>", None)

    def test_line_numbers(self):
        text = '#pragma once\n\n#include "cli/output.h"\n'
        self.assertEqual(check_layers.check_text("core/io/a.h", text), ["core/io/a.h:3: core/io may not include cli/output.h"])


class Links(unittest.TestCase):
    def test_link_order(self):
        text = """
mlxr_floor(quant DIRS quant DEPS mlxr_tensor)  # mlxr_cli
mlxr_floor(tensor DIRS tensor DEPS mlxr_base mlxr_quant fmt::fmt LABEL unit)
mlxr_floor(models DIRS models DEPS mlxr_graph TEST_DEPS mlxr_kernels_cpu)
mlxr_floor(graph DIRS graph
  DEPS mlxr_backend mlxr_models)
mlxr_floor(new DIRS new DEPS mlxr_base)
"""
        self.assertEqual(check_layers.check_links("core/CMakeLists.txt", text), [
            "core/CMakeLists.txt: mlxr_tensor may not link mlxr_quant",
            "core/CMakeLists.txt: mlxr_graph may not link mlxr_models",
            "core/CMakeLists.txt: mlxr_new has no row in scripts/check_layers.py",
        ])


if __name__ == "__main__":
    unittest.main()
