#!/usr/bin/env bash
# Makes the starter model's files of models/sprout from the bf16 originals, with this project's own convert and quantize.
#
# usage: make_starter.sh SPROUT_28M_FOLDER SPROUT_DRAFT_3M_FOLDER TEXT
#   TEXT is what the importance matrix is measured on; only its statistics enter the file.
set -euo pipefail
cd "$(dirname "$0")/.."

mlxr=${MLXR:-build/release/bin/mlxr}
base=$1 draft=$2 text=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$mlxr" convert "$base" -o "$work/sprout-28m.gguf"
"$mlxr" imatrix "$work/sprout-28m.gguf" "$text" -o "$work/imatrix.gguf"
"$mlxr" quantize "$work/sprout-28m.gguf" models/sprout/sprout-28m-q5_k_m.gguf --type Q5_K_M --imatrix "$work/imatrix.gguf"
"$mlxr" convert "$draft" -o "$work/sprout-draft-3m.gguf"
"$mlxr" quantize "$work/sprout-draft-3m.gguf" models/sprout/sprout-draft-3m-q8_0.gguf --type Q8_0 --pure
