#!/usr/bin/env bash
# Everything about the sources that no test sees: formatting, layering, sizes, scripts that compile, clang-tidy. Every
# check runs even when one before it failed. `--fix-format` rewrites the C++ files instead.
#
# clang-tidy reads the commands of build/dev, which has to be configured, not built.
set -euo pipefail
cd "$(dirname "$0")/.."

clang_format=
for name in clang-format-14 clang-format /opt/homebrew/opt/llvm/bin/clang-format; do
  if command -v "$name" >/dev/null; then clang_format=$name; break; fi
done
[ -n "$clang_format" ] || { echo "lint: clang-format is not installed: run scripts/install_deps.sh --dev" >&2; exit 1; }

folders=()
for folder in core daemon cli bench tests; do
  [ ! -d "$folder" ] || folders+=("$folder")
done
format_all() {
  find "${folders[@]}" \( -name '*.h' -o -name '*.cc' \) -not -path '*/fixtures/*' -print0 |
    xargs -0 -n 32 "$clang_format" "$@"
}

if [ "${1:-}" = --fix-format ]; then
  format_all -i
  exit 0
fi

failed=()
check_python() {
  find . -path ./build -prune -o -name "*.py" -not -path "*/fixtures/*" -print0 |
    xargs -0 -r python3 -c "import ast, sys
for path in sys.argv[1:]: ast.parse(open(path).read(), path)"
}

check_shell() {
  local script
  for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

step() {
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}

step "clang-format" format_all --dry-run -Werror
step "layers" python3 scripts/check_layers.py
step "sizes" python3 scripts/check_sizes.py
step "python" check_python
step "shell" check_shell
step "clang-tidy" python3 scripts/tidy.py build/dev

if [ ${#failed[@]} -gt 0 ]; then
  echo "lint: failed: ${failed[*]}"
  exit 1
fi
echo "lint: clean"
