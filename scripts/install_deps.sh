#!/usr/bin/env bash
# Installs what building, running and testing need: Debian or Ubuntu packages (as root or through sudo), Homebrew
# formulas on macOS. With --dev also what linting, fuzzing and the NEON tests need. Does and says nothing when all is
# there. Needs bash and the system's package tool, nothing else.
set -euo pipefail

debian_base=(g++ cmake ninja-build ccache pkg-config python3
  libcli11-dev libfmt-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libedit-dev libssl-dev
  libboost1.81-dev libyaml-cpp-dev libsqlite3-dev libcurl4-openssl-dev
  libgtest-dev libbenchmark-dev)
debian_dev=(git clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev lld-14
  googletest qemu-user g++-aarch64-linux-gnu)
brew_base=(cmake ninja ccache pkg-config python3 cli11 fmt nlohmann-json pcre2 utf8proc openssl@3 boost yaml-cpp sqlite curl googletest google-benchmark)
brew_dev=(llvm)

usage() { echo "usage: scripts/install_deps.sh [--dev] [--check]" >&2; }

dev=0
check=0
for argument in "$@"; do
  case "$argument" in
    --dev) dev=1 ;;
    --check) check=1 ;;  # names what is missing, installs nothing; exit 1 when something is
    *) usage; exit 2 ;;
  esac
done

missing_debian() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || echo "$package"
  done
}

missing_brew() {
  local formula
  for formula in "$@"; do
    brew list --formula --versions "$formula" >/dev/null 2>&1 || echo "$formula"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "install_deps: installing packages needs root: run as root or install sudo" >&2
    exit 1
  fi
}

install_debian() {
  echo "Installing packages: $*"
  local log
  log=$(mktemp)
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0)
  # The package lists of a fresh image are empty or out of date; only then are new ones asked for.
  if ! as_root "${apt[@]}" install --no-install-recommends "$@" >"$log" 2>&1; then
    echo "Updating the package lists and trying again"
    if ! as_root "${apt[@]}" update >"$log" 2>&1 ||
      ! as_root "${apt[@]}" install --no-install-recommends "$@" >"$log" 2>&1; then
      tail -n 20 "$log" >&2
      echo "install_deps: apt-get failed; its last lines are above" >&2
      exit 1
    fi
  fi
  rm -f "$log"
}

case "$(uname -s)" in
  Linux)
    if ! command -v apt-get >/dev/null; then
      echo "install_deps: only Debian and Ubuntu are known here; install the equivalents of: ${debian_base[*]}" >&2
      exit 1
    fi
    wanted=("${debian_base[@]}")
    [ "$dev" = 0 ] || wanted+=("${debian_dev[@]}")
    mapfile -t missing < <(missing_debian "${wanted[@]}")
    installer=install_debian
    ;;
  Darwin)
    if ! command -v brew >/dev/null; then
      echo "install_deps: Homebrew is needed: see https://brew.sh" >&2
      exit 1
    fi
    wanted=("${brew_base[@]}")
    [ "$dev" = 0 ] || wanted+=("${brew_dev[@]}")
    missing=()
    while IFS= read -r formula; do missing+=("$formula"); done < <(missing_brew "${wanted[@]}")
    installer="brew install"
    ;;
  *)
    echo "install_deps: $(uname -s) is not supported: Linux (Debian, Ubuntu) and macOS are" >&2
    exit 1
    ;;
esac

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$check" = 1 ]; then
  echo "missing: ${missing[*]}"
  exit 1
fi
$installer "${missing[@]}"
