#!/usr/bin/env bash
# Breaks runs of the program in every way that a machine can, takes them up again, and compares them
# with runs that nothing disturbed, bit for bit.
#
#   bash tests/faults/torture.sh BUILD_DIR [--only PART,..] [--every K] [--kills N] [--jobs J]
#
# Parts, all unless --only names some:
#   crash    the program ends at every write, fsync, rename, open, unlink and mkdir of a training and
#            of a search
#   power    the same, and what was not fsynced is lost
#   disk     each of these calls fails (ENOSPC, EIO), is cut short, or fills the disk
#   kills    N times (200) kill -9 at a random moment of a training, a search of each mode, a table
#   places   a folder that is read-only, vanishes, is too small, or may hold small files only; a
#            clock that is set back
#   memory   allocations fail, in predict and in a training
# --every K takes each K-th point only, beginning at a random one. The last lines count; a fault of
# the program is a line FAIL: .. and exit code 1, and what it left stays.
set -u
export LC_ALL=C OMP_NUM_THREADS=1
here=$(dirname "$(realpath "$0")")
build=$(realpath "${1:?usage: tests/faults/torture.sh BUILD_DIR [--only PART,..]}")
shift
parts=crash,power,disk,kills,places,memory every=1 kills=200 jobs=$(nproc)
while [ $# -gt 1 ]; do
  case $1 in
    --only) parts=$2 ;;
    --every) every=$2 ;;
    --kills) kills=$2 ;;
    --jobs) jobs=$2 ;;
    *) echo "FAIL: no option $1"; exit 2 ;;
  esac
  shift 2
done
RANDOM=$(date +%j)  # other points tomorrow, the same ones again today
export serenade=$build/serenade shim=$build/libserenade_shim.so
for file in "$serenade" "$shim"; do
  [ -e "$file" ] || { echo "FAIL: no $file; build it first"; exit 1; }
done
grep -q '^SERENADE_SANITIZE:STRING=.' "$build/CMakeCache.txt" 2>/dev/null &&
  { echo "skipped: a sanitizer must be the first library, so the shim cannot be"; exit 77; }
command -v espeak-ng >/dev/null || { echo "skipped: espeak-ng, which speaks the corpus, is not here"; exit 77; }
work=$(mktemp -d)
cd "$work" || exit 1
# In the list that LD_PRELOAD is, a space ends a name.
cp "$shim" "$work/shim.so" && shim=$work/shim.so
. "$here/runs.sh"
: >found

# One point of each part --------------------------------------------------------------------------
# Each is given a run's name and what to do with it, and prints one line: FAIL: .., or what it was.

point() {  # point NAME FAULT: the fault, then the way on
  local name=$1 fault=$2 folder
  folder=at-$name-$(tr ':+,' '---' <<<"$fault")
  begin "$name" "$folder" timeout 300 env LD_PRELOAD="$shim" SERENADE_FAULT="$fault"
  local code=$?
  case $fault:$code in
    *:exit:137 | *:power:137) ;;
    *:exit:* | *:power:*) echo "FAIL: $name $fault: not reached: exit code $code"; return ;;
    *:short:0 | *:back:0) ;;
    *:short:* | *:back:*) echo "FAIL: $name $fault: exit code $code: $(tail -n 1 "$folder.err")"; return ;;
    *:0) ;;  # what failed could be done without: the results say whether
    *:5) one_line "$folder.err" || echo "FAIL: $name $fault: not one line: $(head -c 300 "$folder.err")" ;;
    *) echo "FAIL: $name $fault: exit code $code: $(tail -n 1 "$folder.err")" ;;
  esac
  must_recover "$name" "$folder" "$name $fault" && echo "ok"
}

kill_at_random() {  # kill_at_random NAME NUMBER: until the run is through, at most three times
  local name=$1 folder=killed-$1-$2 seconds after
  RANDOM=$2
  seconds=$(cat "ref/$name.seconds")
  for verb in begin resume resume; do
    after=$(awk -v s="$seconds" -v r=$RANDOM 'BEGIN { print s * r / 32768 }')
    $verb "$name" "$folder" timeout -s KILL "$after" && break
    echo killed
    [ $((RANDOM % 2)) -eq 0 ] && break
  done
  must_recover "$name" "$folder" "$name kill $2, after $after s" && echo "ok"
}
export -f point kill_at_random

# All points of each part -------------------------------------------------------------------------

calls() {  # calls KIND NAME: how many calls of the kind an undisturbed run makes
  local folder=counted-$2
  if [ ! -e "$folder.counts" ]; then
    begin "$2" "$folder" env LD_PRELOAD="$shim" SERENADE_FAULT_COUNTS="$folder.counts"
    rm -rf "$folder"
  fi
  sed -n "s/^$1 //p" "$folder.counts"
}

# numbers LAST: the points to try. The fourth is among them always: it writes the lock, and a part of
# it written was once taken for a failure.
numbers() {
  { echo 4; seq $((every > 1 ? RANDOM % every + 1 : 1)) "$every" "$1"; } | sort -nu
}

# Runs `FUNCTION A B` for each line "A B" of stdin, several at a time, and counts.
each() {  # each PART FUNCTION
  xargs -P "$jobs" -L 1 bash -c "$2 \"\$@\"" - >"found-$1" 2>said  # bash names what was killed
  grep FAIL: "found-$1"
  cat "found-$1" >>found
}

report() {  # report PART NUMBER WHAT RECOVERED OTHERS
  printf '%-8s %5d %s: %d recovered with the same bits, %d did not\n' "$@"
  [ "$2" -gt 0 ] || echo "FAIL: $1: nothing was tried" | tee -a found
}

all_points() {  # all_points PART ACTION..: at every call that changes the disk
  local part=$1 name action
  undisturbed train
  undisturbed dropout
  for name in train dropout; do
    for action in "${@:2}"; do
      numbers "$(calls disk $name)" | sed "s/.*/$name disk:&:$action/"
    done
  done | each "$part" point
  report "$part" "$(grep -c . "found-$part")" points "$(grep -c '^ok' "found-$part")" \
    "$(grep -c FAIL: "found-$part")"
}

random_kills() {
  local i
  for name in "${run_names[@]}"; do undisturbed "$name"; done
  for ((i = 1; i <= kills; ++i)); do
    echo "${run_names[i % ${#run_names[@]}]} $i"
  done | each kills kill_at_random
  report kills "$(grep -c killed found-kills)" kills "$(grep -c '^ok' found-kills)" \
    "$(grep -c FAIL: found-kills)"
}

has() { [[ ,$parts, == *,$1,* ]]; }

make_inputs
has crash && all_points crash exit
has power && all_points power power
has disk && all_points disk ENOSPC EIO short fill
has kills && random_kills
has places && . "$here/places.sh"
has memory && . "$here/memory.sh"

if grep -q FAIL: found; then
  echo "$(grep -c FAIL: found) faults; what they left: $work"
  exit 1
fi
rm -rf "$work"
echo "nothing lost"
