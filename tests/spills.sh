#!/usr/bin/env bash
# spills.sh BUILD_FOLDER: reads what ptxas reported when nvcc compiled kernels/*/cuda. A kernel whose
# registers do not suffice keeps some of them in memory ("spills"), which costs more than any of our
# kernels can afford, so none may. With -v as second argument, also prints every kernel's registers
# and shared memory. Ends with 77 (skipped) in a build without CUDA.
set -u
mapfile -t reports < <(find "$1" -name '*.resources.txt' 2>/dev/null)
if [ ${#reports[@]} -eq 0 ]; then
  echo "skipped: this build has no CUDA kernels"
  exit 77
fi
cat "${reports[@]}" | awk -v verbose="${2:-}" '
  /Function properties for|Compiling entry function/ { name = $0; sub(/.*(for|function) /, "", name)
    gsub(/\x27/, "", name); sub(/ .*/, "", name) }
  /bytes spill stores/ { split($0, part, ","); spilled[name] = part[2] + part[3] }
  /Used [0-9]+ registers/ { used[name] = $0; sub(/.*Used /, "", used[name]); ++kernels }
  END {
    for (name in used) {
      if (verbose != "") printf "%s: %s\n", name, used[name]
      if (spilled[name] > 0) { printf "FAIL: %s spills %d bytes\n", name, spilled[name]; failed = 1 }
    }
    printf "%d kernels, %s\n", kernels, failed ? "some spill" : "none spills a register"
    exit failed || kernels == 0
  }' | sort | c++filt 2>/dev/null
exit "${PIPESTATUS[1]}"
