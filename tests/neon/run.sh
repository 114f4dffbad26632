#!/usr/bin/env bash
# The kernels on 64-bit Arm: cross-builds the floors up to kernels/cpu with their tests into build/neon and runs each
# test program under qemu-user, whose "max" processor has every vector extension.
#
#   run.sh ROOT        exit 77: skipped, the cross compiler or the emulator is not installed
set -euo pipefail
cd "$1"

for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $tool is not installed (scripts/install_deps.sh --dev installs it)"
    exit 77
  fi
done
if [ ! -f /usr/src/googletest/CMakeLists.txt ]; then
  echo "skipped: /usr/src/googletest is not there (scripts/install_deps.sh --dev installs it)"
  exit 77
fi

if [ ! -f build/neon/build.ninja ]; then
  cmake --preset neon
fi
programs=()
for floor in base tensor quant backend kernels_cpu; do
  if cmake --build build/neon --target help | grep -q "^${floor}_test:"; then programs+=("${floor}_test"); fi
done
cmake --build build/neon --target "${programs[@]}"
# A death test starts its own program again, which the emulator does not see.
for program in "${programs[@]}"; do
  echo "== $program under qemu-aarch64"
  qemu-aarch64 -cpu max "build/neon/bin/$program" --gtest_brief=1 --gtest_filter=-*DeathTest*
done
