# The front door. Each target sets up what it needs first, so that any of them works on a fresh machine.
#
#   make run [ARGS="..."]   build the release and chat with the starter model (ARGS go to `mlxr run`)
#   make build              the release build: build/release/bin/mlxr
#   make test               build with assertions and run every test
#   make lint               formatting, layering, file sizes, clang-tidy
#   make format             rewrite the sources with clang-format
#   make bench [ARGS=MODEL] measure the release build (ARGS go to `mlxr bench`; the starter model without)
#   make asan|ubsan|tsan    the tests under a sanitizer; make sanitize runs all three
#   make neon               the kernel tests, cross-built for 64-bit Arm and run under qemu-user
#   make fuzz               every libFuzzer target for FUZZ_SECONDS
#   make status             what is checked out, installed and built
#   make clean              remove build/

JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
FUZZ_SECONDS ?= 60
CTEST = ctest --output-on-failure -j$(JOBS)

.PHONY: neon run build test lint format bench asan ubsan tsan sanitize fuzz status clean deps dev-deps
.DEFAULT_GOAL := build

run: build
	@build/release/bin/mlxr run $(ARGS)

build: deps build/release/build.ninja
	@cmake --build build/release

test: deps build/dev/build.ninja
	@cmake --build build/dev
	@cd build/dev && $(CTEST)

lint: dev-deps build/dev/build.ninja
	@scripts/lint.sh

format: dev-deps
	@scripts/lint.sh --fix-format

bench: build
	@build/release/bin/mlxr bench $(if $(ARGS),$(ARGS),sprout)

asan ubsan tsan: deps
	@$(MAKE) build/$@/build.ninja
	@cmake --build build/$@
	@cd build/$@ && $(call within_$@) $(CTEST)

# ThreadSanitizer of GCC 12 finds no room for its shadow where addresses are spread over more than 28 bits.
within_tsan = $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -le 28 ] || echo setarch -R)
# The frames that GCC keeps to find uses after return are not aligned enough for registers of AVX-512 (GCC bug 110027).
use_after_return = $(if $(shell grep -m1 -o avx512f /proc/cpuinfo 2>/dev/null),0,1)
# A test asks for more memory than there is and wants to be told so.
export ASAN_OPTIONS ?= detect_stack_use_after_return=$(use_after_return) allocator_may_return_null=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1 second_deadlock_stack=1 allocator_may_return_null=1

neon: dev-deps
	@tests/neon/run.sh .

sanitize: asan ubsan tsan

fuzz: dev-deps build/fuzz/build.ninja
	@cmake --build build/fuzz
	@scripts/fuzz.sh $(FUZZ_SECONDS)

status:
	@scripts/status.sh

clean:
	rm -rf build

deps:
	@scripts/install_deps.sh

dev-deps:
	@scripts/install_deps.sh --dev

# Ninja runs CMake again by itself when a CMakeLists.txt changes; a preset it does not watch.
build/%/build.ninja: CMakePresets.json
	@echo "Configuring $*" && mkdir -p build
	@cmake --preset $* >build/$*-configure.log 2>&1 || { cat build/$*-configure.log; exit 1; }
	@touch $@
