#!/usr/bin/env python3
"""Writes tests/fixtures/quants/gguf_py/TYPE.{blocks,f32}.bin: blocks of random bits and what ggml's own Python package decodes
them to (pip install gguf; written with version 0.19.0). Each row of each codebook occurs.

usage: make_quant_fixtures.py tests/fixtures/quants/gguf_py
"""

import os
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

# Type -> blocks; for types with codebooks as many as it takes to name each row once.
BLOCKS = {
    "IQ2_XXS": 8,
    "IQ2_XS": 16,
    "IQ2_S": 32,
    "IQ3_XXS": 4,
    "IQ3_S": 8,
    "IQ1_S": 64,
    "IQ1_M": 64,
    "IQ4_NL": 8,
    "IQ4_XS": 4,
    "TQ1_0": 4,
    "TQ2_0": 4,
    "MXFP4": 256,
    "NVFP4": 64,
}


def put(raw, block, offset, bit, width, value):
    """Overwrites `width` bits from bit `bit` of byte `offset` on, little-endian."""
    for i in range(width):
        position = bit + i
        byte = offset + position // 8
        mask = 1 << (position % 8)
        raw[block, byte] = (int(raw[block, byte]) & ~mask & 255) | (mask if (value >> i) & 1 else 0)


def name_every_row(kind, raw):
    """Makes the groups of all blocks index rows 0, 1, 2, ... of the codebook."""
    groups = {"IQ3_XXS": 64, "IQ3_S": 64}.get(kind, 32)
    for row in range(raw.shape[0] * groups):
        block, g = divmod(row, groups)
        if kind == "IQ2_XXS":
            put(raw, block, 2 + 8 * (g // 4) + g % 4, 0, 8, row)
        elif kind == "IQ2_XS":
            put(raw, block, 2 + 2 * g, 0, 9, row)
        elif kind == "IQ2_S":
            put(raw, block, 2 + g, 0, 8, row)
            put(raw, block, 66 + g // 4, 2 * (g % 4), 2, row >> 8)
        elif kind == "IQ3_XXS":
            put(raw, block, 2 + g, 0, 8, row)
        elif kind == "IQ3_S":
            put(raw, block, 2 + g, 0, 8, row)
            put(raw, block, 66 + g // 8, g % 8, 1, row >> 8)
        elif kind == "IQ1_S":
            put(raw, block, 2 + g, 0, 8, row)
            put(raw, block, 34 + 2 * (g // 4), 3 * (g % 4), 3, row >> 8)
        elif kind == "IQ1_M":
            put(raw, block, g, 0, 8, row)
            put(raw, block, 32 + g // 2, 4 * (g % 2), 3, row >> 8)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    random = np.random.default_rng(20260801)
    for kind, num_blocks in BLOCKS.items():
        quant = getattr(GGMLQuantizationType, kind)
        _, block_bytes = GGML_QUANT_SIZES[quant]
        while True:
            raw = random.integers(0, 256, size=(num_blocks, block_bytes), dtype=np.uint8)
            if kind == "MXFP4":
                raw[:, 0] = np.arange(num_blocks) % 256
            if kind == "NVFP4":
                raw[:, :4] = np.arange(num_blocks * 4).reshape(num_blocks, 4) % 256
            name_every_row(kind, raw)
            with np.errstate(all="ignore"):
                values = quants.dequantize(raw, quant).astype(np.float32)
            # A NaN or infinite scale would hide the rest of its block; draw again.
            if kind == "MXFP4" or np.isfinite(values).all():
                break
        raw.tofile(os.path.join(sys.argv[1], kind + ".blocks.bin"))
        values.tofile(os.path.join(sys.argv[1], kind + ".f32.bin"))


if __name__ == "__main__":
    main()
