#!/usr/bin/env python3
"""Writes core/quant/iq_grids.inc, the codebooks of the IQ formats packed to 2 or 3 bits an element, from a JSON file
{"grids": {"IQ2_XXS": [[8, 8, ...], ...], ...}} with the numbers of ggml (MIT licence), src/ggml-common.h.

usage: make_iq_grids.py iq_grids.json core/quant/iq_grids.inc
"""

import json
import sys

# Format -> (rows, elements a row, the values that codes 0, 1, ... stand for).
GRIDS = {
    "IQ2_XXS": (256, 8, [8, 25, 43]),
    "IQ2_XS": (512, 8, [8, 25, 43]),
    "IQ2_S": (1024, 8, [8, 25, 43]),
    "IQ3_XXS": (256, 4, [4, 12, 20, 28, 36, 44, 52, 62]),
    "IQ3_S": (512, 4, [1, 3, 5, 7, 9, 11, 13, 15]),
    "IQ1_S": (2048, 8, [-1, 0, 1]),
}
PER_LINE = 14


def packed_rows(rows, num_rows, width, values):
    if len(rows) != num_rows or any(len(row) != width for row in rows):
        raise SystemExit("a grid does not have the size of its format")
    bits = 2 if len(values) <= 4 else 3
    code = {value: index for index, value in enumerate(values)}
    return [sum(code[value] << (bits * j) for j, value in enumerate(row)) for row in rows]


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        grids = json.load(file)["grids"]
    lines = [
        "// Written by scripts/make_iq_grids.py; the numbers are those of ggml (MIT licence), see THIRD_PARTY.md.",
        "// Element j of a row is the code in bits 2j (IQ1, IQ2) or 3j (IQ3) and up; what codes stand for: iq_grids.cc.",
    ]
    for name, (num_rows, width, values) in GRIDS.items():
        packed = packed_rows(grids[name], num_rows, width, values)
        constant = "kPacked" + name.replace("IQ", "Iq").replace("_XXS", "Xxs").replace("_XS", "Xs").replace("_S", "S")
        lines.append(f"constexpr std::uint16_t {constant}[{num_rows}] = {{")
        for start in range(0, num_rows, PER_LINE):
            lines.append("    " + ", ".join(f"0x{row:04x}" for row in packed[start : start + PER_LINE]) + ",")
        lines.append("};")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
