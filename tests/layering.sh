#!/usr/bin/env bash
# The layer rules of README.md: kernels <- tensor <- autograd <- nn <- nas <- apps. An include may skip
# downwards and never points back; third-party headers stay in the folders they belong to.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

forbid() {  # forbid <what> <pattern> <files...>: no line of these files may match
  local what=$1 pattern=$2
  shift 2
  local found
  found=$(grep -nE "$pattern" "$@" 2>/dev/null)
  if [ -n "$found" ]; then
    printf 'FAIL: %s\n%s\n' "$what" "$found"
    failed=1
  fi
}

sources() { find "$@" -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh'; }

layers=(kernels tensor autograd nn nas apps)
for i in "${!layers[@]}"; do
  for above in "${layers[@]:$((i + 1))}"; do
    forbid "${layers[$i]}/ includes $above/, which lies above it" "^#include \"$above/" $(sources "${layers[$i]}")
  done
done

# Apps stand beside one another. Inside apps/ser the rooms have an order of their own: an include goes
# to an earlier room or stays in its own. Evaluation comes before training, because training measures
# itself after every epoch; only main.cpp may include anything.
for app in apps/*/; do
  for other in apps/*/; do
    [ "$app" = "$other" ] ||
      forbid "$app includes $other, another app" "^#include \"$other" $(sources "$app")
  done
done
rooms=(common corpus features data models evaluation training report cli)
for i in "${!rooms[@]}"; do
  for later in "${rooms[@]:$((i + 1))}"; do
    forbid "apps/ser/${rooms[$i]}/ includes apps/ser/$later/, a later room" \
      "^#include \"apps/ser/$later/" $(sources "apps/ser/${rooms[$i]}")
  done
done
homeless=$(sources apps/ser | grep -vE "^apps/ser/(main\.cpp$|($(IFS='|'; echo "${rooms[*]}"))/)")
if [ -n "$homeless" ]; then
  printf 'FAIL: files of apps/ser in no room\n%s\n' "$homeless"
  failed=1
fi

product=$(sources "${layers[@]}")
forbid 'includes are written from the root' '^#include "[^/"]+"' $product $(sources tests)
forbid 'tests are included by the product' '^#include "tests/' $product
forbid 'doctest outside tests/' '^#include <doctest' $product
forbid 'a JSON library in a public header' '^#include <nlohmann' $(find "${layers[@]}" -name '*.h')
outside_kernels=$(sources tensor autograd nn nas apps)
forbid 'OpenMP, BLAS, CUDA or SIMD outside kernels/' \
  '^#pragma omp|^#include <(omp|cblas|immintrin|cuda|cublas|cudnn)' $outside_kernels
forbid 'a branch on the name of a device outside kernels/ (see kernels/runtime/device.h)' \
  '[!=]= *Device::|case Device::' $outside_kernels
forbid 'audio or command-line libraries outside apps/' \
  '^#include <(sndfile|soxr|kiss|CLI)' $(sources kernels tensor autograd nn nas)
forbid 'zlib outside the sources of nn/data/' '^#include <zlib' \
  $(sources "${layers[@]}" tests | grep -v '^nn/data/.*\.cpp$')
forbid 'lines over 100 columns, which clang-format leaves in comments' '^.{101,}$' $product $(sources tests)
forbid 'names that say nothing' '^(class|struct|namespace) \w*([Uu]til|[Hh]elper|[Mm]anager)' $product
forbid 'work left open' '\b(TODO|FIXME|XXX)\b' $product $(sources tests)

long=$(wc -l $product $(sources tests) | awk '$2 != "total" && $1 > 500 { print }')
if [ -n "$long" ]; then
  printf 'FAIL: files over 500 lines\n%s\n' "$long"
  failed=1
fi
entries=$(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u |
  grep -vxE 'Makefile|CMakeLists.txt|README.md|LICENSE|tensor|autograd|kernels|nn|nas|apps|tests|\..*')
if [ -n "$entries" ]; then
  printf 'FAIL: unexpected entries at the top level\n%s\n' "$entries"
  failed=1
fi
[ $failed -eq 0 ] && echo "layers: all rules hold"
exit $failed
