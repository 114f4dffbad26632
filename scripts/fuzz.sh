#!/usr/bin/env bash
# Runs every libFuzzer target of build/fuzz for so many seconds, starting from its seeds. What it finds new stays under
# build/fuzz/corpus; a crash leaves its input in build/fuzz and ends the run with its report.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
for target in build/fuzz/bin/fuzz_*; do
  name=$(basename "$target" | sed 's/^fuzz_//')
  found=build/fuzz/corpus/$name
  mkdir -p "$found"
  echo "Fuzzing $name for $seconds s"
  "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "$found" "tests/fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1 ||
    { tail -n 60 "build/fuzz/$name.log"; exit 1; }
  sed -n 's/^stat::number_of_executed_units: */  inputs run: /p' "build/fuzz/$name.log"
done
