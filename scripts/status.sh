#!/usr/bin/env bash
# What is checked out, installed and built.
set -euo pipefail
cd "$(dirname "$0")/.."

row() { printf '%-14s %s\n' "$1" "$2"; }

if head=$(git log -1 --format='%h %s' 2>/dev/null); then
  changes=$(git status --porcelain | wc -l)
  row "source" "$head"
  row "" "$(git branch --show-current || true), $((changes)) changed or new files"
fi
row "dependencies" "$(scripts/install_deps.sh --check && echo "complete" || true)"
row "for lint" "$(scripts/install_deps.sh --dev --check && echo "complete" || true)"
for preset in dev release asan ubsan tsan fuzz; do
  folder=build/$preset
  if [ ! -f "$folder/build.ninja" ]; then
    row "$preset" "not configured"
  elif [ ! -x "$folder/bin/mlxr" ]; then
    row "$preset" "configured, not built"
  else
    tests=$( (cd "$folder" && ctest -N 2>/dev/null) | sed -n 's/^Total Tests: //p')
    row "$preset" "built $(date -r "$folder/bin/mlxr" '+%Y-%m-%d %H:%M'), ${tests:-0} tests"
  fi
done
