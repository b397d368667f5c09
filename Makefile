# Serenade's verbs. CMake compiles (CMakeLists.txt); this file says what can be done.
#
#   make            this list
#   make run        the main job on a demo corpus: search, retrain, evaluate, report (CPU, minutes)
#   make test       build everything and run all tests
#   make build      build/serenade, build/capsnet and build/darts, the programs
#   make bench      our kernels and training steps against oneDNN, OpenBLAS and PyTorch where they are
#                   found, then against their own earlier versions (PYTHON=.. ITEMS=conv,step,..)
#   make function-table  write autograd/functions.md: what was checked of every function, and its
#                   times beside PyTorch's (PYTHON=..; BUSY=yes on a machine with other work)
#   make test-gpu   the CUDA kernels and both systems on this machine's GPU, against the CPU
#   make bench-gpu  the CUDA kernels against their floors and cuDNN on this machine's GPU
#   make format     lay out all sources with clang-format 14
#   make check-format   fail where `make format` would change something
#   make check-tidy     look for faults with clang-tidy 14
#   make check-clang    build with clang 14 and 19; the program from outside, the tests in float (19)
#   make test-slow  a thousand steps of every mode: memory and files stay what they were; a busy machine
#   make asan       the tests in float under address and undefined-behaviour sanitizers
#   make tsan       everything that has threads under the thread sanitizer
#   make coverage   which lines the tests run, and which branches of parsers and checkpoints
#   make fuzz       readers of files, the command line, and float against double under libFuzzer;
#                   RUNS=50000 inputs each, TARGETS=config,audio,.. only some, SEED=1 where they
#                   begin (needs clang)
#   make kills      KILLS=200 runs killed at random moments, taken up again, and compared
#   make torture    2,000 of them, and every crash point, fault of the disk and lack of memory
#   make clean      remove build/
#
# `run`, `test` and `build` first install what is missing, on Debian and Ubuntu with apt-get (as root,
# or through sudo); elsewhere they say what to install. CMAKE_FLAGS=.. is handed on to CMake: the CUDA
# kernels are compiled where nvcc and a GPU are found, with -DSERENADE_CUDA=ON wherever nvcc is.

SHELL := /bin/bash
BUILD := build
# `make bench`: where PyTorch is looked for, and which items are run (empty: all, and the ladders).
PYTHON ?= python3
ITEMS ?=
# BUSY=yes: one thread, and its processor time (function-table).
BUSY ?=
CMAKE_FLAGS ?=
JOBS := $(shell nproc 2>/dev/null || echo 2)
SOURCES = $(shell git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
comma := ,
# clang-format and clang-tidy are those of Debian 12: other versions lay out and judge differently.
LLVM := 14
# Where `make run` leaves its corpus and its result.
DEMO := $(BUILD)/demo_corpus
RUN := $(BUILD)/run

PACKAGES := g++ cmake make pkg-config libopenblas-dev libkissfft-dev doctest-dev nlohmann-json3-dev \
  zlib1g-dev libsndfile1-dev libsoxr-dev libcli11-dev espeak-ng

.PHONY: help setup build run test test-slow bench function-table test-gpu bench-gpu format check-format check-tidy \
  check-clang check-clang-14 check-clang-19 asan tsan coverage fuzz shim kills torture clean

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

# Missing packages by name; nothing is done when all are there.
setup:
	@if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then \
	  missing=(); \
	  for package in $(PACKAGES); do \
	    dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing+=($$package); \
	  done; \
	  if [ $${#missing[@]} -gt 0 ]; then \
	    echo "installing: $${missing[*]}"; \
	    as_root=; \
	    if [ $$(id -u) -ne 0 ]; then \
	      command -v sudo >/dev/null || { echo "please install as root: apt-get install $${missing[*]}" >&2; exit 2; }; \
	      as_root=sudo; \
	    fi; \
	    { $$as_root apt-get update -q && \
	      $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
	        "$${missing[@]}"; } >/tmp/serenade-setup.log 2>&1 || \
	      { tail -n 20 /tmp/serenade-setup.log >&2; echo "apt-get failed; please install: $${missing[*]}" >&2; exit 2; }; \
	  fi; \
	else \
	  for tool in g++ cmake pkg-config espeak-ng; do \
	    command -v $$tool >/dev/null || lacking="$$lacking $$tool"; \
	  done; \
	  [ -z "$$lacking" ] || { echo "missing:$$lacking. Please install a C++20 compiler, CMake 3.22, pkg-config," \
	    "OpenBLAS, KissFFT (float), doctest, nlohmann/json, zlib, libsndfile, libsoxr, CLI11 and espeak-ng" >&2; exit 2; }; \
	fi

build: setup
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=OFF $(CMAKE_FLAGS) >$(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log >&2; exit 1; }
	@cmake --build $(BUILD) --target serenade capsnet darts -j $(JOBS)

run: build
	@test -e $(DEMO)/README.txt || $(BUILD)/serenade corpus make $(DEMO)
	@$(BUILD)/serenade search --device cpu --corpus $(DEMO) --system CNN_GRU_att --strategy dropout --preset mel \
	  --search-epochs 20 --epochs 20 --direction first --folds 1 --out $(RUN) --replace

test: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS)
	@cd $(BUILD) && ctest --output-on-failure -LE slow

test-slow: build
	@for script in tests/slow/*.sh; do bash "$$script" $(BUILD) || exit 1; done

bench: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS) --target bench_peers serenade
	@rm -f $(BUILD)/bench.json
	@$(BUILD)/bench_peers --items "$(ITEMS)" --python "$(PYTHON)" --serenade $(BUILD)/serenade \
	  --json $(BUILD)/bench.json
	@$(if $(ITEMS),,cmake --build $(BUILD) -j $(JOBS) --target bench-ladders)

# The tests of the functions, on the CPU and on the emulated device, say what they have checked.
NOTES := $(BUILD)/checked
function-table: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS) --target serenade_tests_double serenade_tests_cuda_double bench_peers
	@rm -f $(NOTES)* $(BUILD)/every_function.json
	@for device in "" _cuda; do \
	  SERENADE_FUNCTION_NOTES=$(NOTES)$$device $(BUILD)/serenade_tests$${device}_double \
	    --source-file='*tests/autograd/*' --test-case-exclude='autograd/functions.md *' || exit 1; \
	done
	@$(BUILD)/bench_peers --items every --busy "$(BUSY)" --python "$(PYTHON)" --json $(BUILD)/every_function.json
	@"$(PYTHON)" tests/bench/function_table.py $(NOTES) $(NOTES)_cuda $(BUILD)/every_function.json

test-gpu: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS) --target gpu
	@bash tests/cuda/on_gpu.sh $(BUILD)

bench-gpu: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS) --target gpu
	@bash tests/bench/gpu/run.sh $(BUILD) "$(PYTHON)"

# $(call pinned,TOOL) sets $$tool to the TOOL of version $(LLVM), or ends the verb.
pinned = tool=$$(command -v $(1)-$(LLVM) || command -v $(1)); \
  version=$$("$${tool:-false}" --version 2>/dev/null | sed -nE 's/.*version ([0-9.]+).*/\1/p'); \
  [ "$${version%%.*}" = $(LLVM) ] || \
    { echo "make $@: $(1) $(LLVM) is wanted, found: $${version:-none}" >&2; exit 2; }

format:
	@$(call pinned,clang-format); "$$tool" -i $(SOURCES)

check-format:
	@$(call pinned,clang-format); "$$tool" --dry-run --Werror $(SOURCES)

# The product's C++ sources, with a build folder of their own so that each is read once, in float. Left
# out: kernels/*/cpu/simd, which are read once per instruction set, and tests. g++'s folder has omp.h.
TIDY = $(shell git ls-files '*.cpp' | grep -vE '^tests/|/simd/|/emulation/')
check-tidy: setup
	@$(call pinned,clang-tidy); mkdir -p $(BUILD)/tidy; \
	cmake -S . -B $(BUILD)/tidy -DSERENADE_TESTS=OFF -DSERENADE_CUDA=OFF >$(BUILD)/tidy/configure.log 2>&1 || \
	  { cat $(BUILD)/tidy/configure.log >&2; exit 1; }; \
	printf '%s\n' $(TIDY) | xargs -P $(JOBS) -n 1 "$$tool" --quiet -p $(BUILD)/tidy \
	  --extra-arg=-idirafter$$(g++ -print-file-name=include) 2> >(grep -v 'warnings\? generated' >&2)

# The programs of the tests in float, in build folders of their own: without CUDA, which the emulation
# stands for, and without the second build in double.
FLOAT_TESTS := serenade_tests serenade_tests_systems serenade_tests_apps serenade_tests_capsnet serenade_tests_darts \
  serenade_tests_cuda
# Compiled quickly: -O1 is enough to pass the tests in time.
QUICK := -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1
# $(call variant,NAME,TARGETS,OPTIONS) builds TARGETS in build/NAME.
define variant
	@cmake -S . -B $(BUILD)/$(1) -DSERENADE_TESTS=ON -DSERENADE_CUDA=OFF $(3) $(CMAKE_FLAGS)
	@cmake --build $(BUILD)/$(1) -j $(JOBS) --target $(2)
endef
# $(call ctests,NAME,TESTS) runs these tests of build/NAME.
ctests = cd $(BUILD)/$(1) && ctest -j $(JOBS) --output-on-failure --no-tests=error -R '^($(subst $(eval) ,|,$(strip $(2))))$$'

# The oldest clang that we build with, and Debian 12's newest. clang 14 has no lambdas that capture
# structured bindings, which doctest's CAPTURE makes of them, so it shows itself by all but doctests.
TUTORIALS = $(patsubst %,tutorial_%,$(notdir $(basename $(wildcard apps/tutorials/*.cpp))))
check-clang: check-clang-14 check-clang-19

check-clang-14: setup
	$(call variant,clang-14,serenade serenade_emulation $(TUTORIALS),-DCMAKE_CXX_COMPILER=clang++-14 $(QUICK))
	@$(call ctests,clang-14,$(TUTORIALS) cli)

check-clang-19: setup
	$(call variant,clang-19,serenade $(FLOAT_TESTS),-DCMAKE_CXX_COMPILER=clang++-19 $(QUICK))
	@$(call ctests,clang-19,$(FLOAT_TESTS) cli)

# clang looks for uses of a stack after its return by a second stack for each: with the emulation's
# thousands of stacks that takes twenty times as long.
asan: setup
	$(call variant,asan,serenade $(FLOAT_TESTS),-DSERENADE_SANITIZE=address$(comma)undefined $(QUICK))
	@export ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=0; $(call ctests,asan,$(FLOAT_TESTS) cli)

# Kernels with their threads and the workers of loaders; then whatever has threads of its own in the
# program: features, batches, runs side by side.
tsan: setup
	$(call variant,tsan,serenade serenade_tests serenade_tests_apps,-DSERENADE_SANITIZE=thread $(QUICK))
	@export TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1; set -e; \
	$(BUILD)/tsan/serenade_tests --source-file='*/tests/kernels/*,*/tests/nas/path.cpp,*/tests/nn/data/*'; \
	$(BUILD)/tsan/serenade_tests_apps --source-file='*/features/*,*/data/*,*/report/table2.cpp'

coverage: setup
	$(call variant,coverage,serenade $(FLOAT_TESTS),-DSERENADE_COVERAGE=ON -DCMAKE_CXX_COMPILER=clang++-19 $(QUICK))
	@rm -rf $(BUILD)/coverage/profiles
	@export LLVM_PROFILE_FILE='$(abspath $(BUILD))/coverage/profiles/%m.profraw'; \
	  $(call ctests,coverage,$(FLOAT_TESTS) cli bad_input)
	@bash tests/coverage/report.sh $(BUILD)/coverage

# A build folder of its own, by clang, whose library libFuzzer is.
CLANGXX ?= $(shell command -v clang++-$(LLVM) || command -v clang++)
RUNS ?= 50000
TARGETS ?=
SEED ?= 0
fuzz: setup
	@[ -n "$(CLANGXX)" ] || { echo "make fuzz: please install clang" >&2; exit 2; }
	@mkdir -p $(BUILD)/fuzz
	@cmake -S . -B $(BUILD)/fuzz -DSERENADE_FUZZ=ON -DSERENADE_SANITIZE=address,undefined -DSERENADE_CUDA=OFF \
	  -DCMAKE_CXX_COMPILER=$(CLANGXX) $(QUICK) $(CMAKE_FLAGS) \
	  >$(BUILD)/fuzz/configure.log 2>&1 || { cat $(BUILD)/fuzz/configure.log >&2; exit 1; }
	@cmake --build $(BUILD)/fuzz -j $(JOBS) --target serenade_fuzz
	@SEED=$(SEED) bash tests/fuzz/fuzz.sh $(BUILD)/fuzz "$(RUNS)" "$(TARGETS)"

KILLS ?= 200
shim: setup
	@cmake -S . -B $(BUILD) -DSERENADE_TESTS=ON $(CMAKE_FLAGS)
	@cmake --build $(BUILD) -j $(JOBS) --target serenade serenade_shim

kills: shim
	@bash tests/faults/torture.sh $(BUILD) --only kills --kills $(KILLS)

torture: shim
	@bash tests/faults/torture.sh $(BUILD) --kills 2000

clean:
	rm -rf $(BUILD)
