#!/usr/bin/env bash
# report.sh BUILD_FOLDER: which lines of our code the tests have run, after `make coverage` has run
# them. Prints the files below 90 % with the lines that nothing runs, then the branches of all that
# reads what others wrote, and of the writer of checkpoints. Fails below 90 % of all lines. The CUDA
# kernels are left out: nvcc compiles them, and the emulation's copies count as its own.
set -u
build=${1:?usage: tests/coverage/report.sh BUILD_FOLDER}
command -v gcovr >/dev/null || { echo "coverage: gcovr is wanted; on Debian: apt-get install gcovr" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
counts=$work/counts.json
gcovr -r . -j "$(nproc)" --exclude-unreachable-branches --exclude-throw-branches \
  --filter '(kernels|tensor|autograd|nn|nas|apps)/' --exclude '.*/(cuda|emulation)/.*' \
  --json "$counts" "$build" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
readers='tensor/(safetensors.*|files|text|json|csv)\.cpp|nn/checkpoint\.cpp|nn/data/.*\.cpp'
readers+='|nas/(genotype.*|history|strategy|supernet_search_state)\.cpp'
readers+='|apps/ser/corpus/(corpora/.*|audio|named_files|path_spelling|sound_.*|wav_layout)\.cpp'
readers+='|apps/ser/features/feature_(cache|pack|store)\.cpp'
readers+='|apps/ser/training/(config|model_file|checkpoints|records|experiment_json)\.cpp'
readers+='|apps/ser/report/(result_folder|own_files|folder_lock|run_folder|table2_results)\.cpp'
report() { gcovr -r . --add-tracefile "$counts" "$@"; }
echo "coverage: files of which the tests run less than 90 % of the lines"
report --txt --sort-percentage | awk '$4 ~ /%$/ && $1 != "TOTAL" && $4 + 0 < 90'
echo "coverage: lines of readers and of checkpoints that no test runs"
report --txt --filter "$readers" | awk '$4 ~ /%$/ && $4 != "100%"'
echo "coverage: branches of the same, with those that the compiler made, for instance for strings"
report --txt --branches --filter "$readers" | awk '$4 ~ /%$/'
# Not to /dev/null: gcovr removes the file once to see whether it may.
report --print-summary --fail-under-line 90 -o "$work/text"
