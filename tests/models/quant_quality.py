#!/usr/bin/env python3
"""Perplexity of the starter model in every type that `mlxr quantize` writes, against another quantiser's figures.

usage: quant_quality.py MLXR ORIGINAL TEXT

The table is ik_llama.cpp's quantiser with an importance matrix over 40 chunks of 512 tokens of TEXT, measured on TEXT by
llama-perplexity's method. Ours may be 1 % worse at most. Exit 77 when ORIGINAL or TEXT is not there.
"""

import json
import os
import subprocess
import sys
import tempfile

TABLE = [  # type, perplexity, one type for all matrices
    ("Q8_0", 39.647, True),
    ("Q6_K", 39.565, True),
    ("Q5_K_M", 39.791, False),
    ("Q5_K", 40.323, True),
    ("Q5_1", 40.324, True),
    ("Q5_0", 40.382, True),
    ("Q4_K_M", 40.127, False),
    ("Q4_K", 40.879, True),
    ("Q4_1", 41.174, True),
    ("Q4_0", 41.275, True),
    ("IQ4_NL", 40.853, True),
    ("IQ4_XS", 41.326, True),
    ("MXFP4", 42.589, True),
    ("Q3_K_M", 42.593, False),
    ("Q3_K", 46.778, True),
    ("Q2_K", 79.372, True),
]
MARGIN = 1.01
SKIPPED = 77


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def main(mlxr, original, text):
    for path in (original, text):
        if not os.path.exists(path):
            print(f"skipped: {path} is not here")
            return SKIPPED
    worse = 0
    with tempfile.TemporaryDirectory() as folder:
        importance = os.path.join(folder, "importance.gguf")
        model = os.path.join(folder, "model.gguf")
        run(mlxr, "imatrix", original, text, "--chunks", "40", "-o", importance)
        for name, expected, pure in TABLE:
            pure_flag = ["--pure"] if pure else []
            run(mlxr, "quantize", original, model, "--type", name, "--imatrix", importance, *pure_flag)
            measured = json.loads(run(mlxr, "perplexity", model, text, "--json"))["perplexity"]
            holds = measured <= MARGIN * expected
            worse += not holds
            print(f"{name:8} {measured:8.3f}  table {expected:7.3f}  {measured / expected - 1:+7.2%}"
                  f"{'' if holds else '  WORSE'}", flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
