#!/usr/bin/env bash
# The library in other people's projects: one finds what was installed (by find_package, and by
# pkg-config), one has it as a subdirectory. Both are built with warnings as errors and run.
#
#   bash tests/package.sh BUILD_DIR
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(realpath "${1:?usage: tests/package.sh BUILD_DIR}")
grep -qE '^SERENADE_(SANITIZE:STRING=.|COVERAGE:BOOL=ON)' "$build/CMakeCache.txt" &&
  { echo "skipped: programs of others have no sanitizers"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() {
  echo "FAIL: $*"
  failed=1
}
cxx=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
warnings='-Wall -Wextra -Werror'

mkdir "$work/found" "$work/below"
cat >"$work/main.cpp" <<'END'
#include <serenade/autograd/engine.h>
#include <serenade/nas/search_space.h>
#include <serenade/nn/linear.h>
#include <serenade/nn/optim.h>
#include <serenade/version.h>

#include <iostream>

int main() {
  using namespace serenade;
  static_assert(SERENADE_VERSION_MAJOR * 100 + SERENADE_VERSION_MINOR >= 2);
  Linear layer({.in_features = 3, .out_features = 1});
  SGD optimizer(layer.named_parameters(), {.lr = 0.1});
  double last = 1;
  for (int step = 0; step < 100; ++step) {
    const Variable error = layer.forward(Tensor::ones({4, 3})) - real(2);
    const Variable loss = mean(error * error);
    optimizer.zero_grad();
    backward(loss);
    optimizer.step();
    last = static_cast<double>(loss.item());
  }
  std::cout << "serenade " << SERENADE_VERSION << " learned: " << (last < 1e-6 ? "yes" : "no") << "\n";
  return last < 1e-6 ? 0 : 1;
}
END
project() {  # project FOLDER HOW..: a project that gets the library by the commands HOW
  cp "$work/main.cpp" "$work/$1/"
  {
    echo 'cmake_minimum_required(VERSION 3.22)'
    echo 'project(consumer LANGUAGES CXX)'
    printf '%s\n' "${@:2}"
    echo 'add_executable(consumer main.cpp)'
    echo "target_compile_options(consumer PRIVATE ${warnings})"
    echo 'target_link_libraries(consumer PRIVATE serenade::serenade)'
  } >"$work/$1/CMakeLists.txt"
}
make_and_run() {  # make_and_run FOLDER OPTION..
  local folder=$work/$1
  if cmake -S "$folder" -B "$folder/build" -DCMAKE_CXX_COMPILER="$cxx" \
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "${@:2}" >"$folder/log" 2>&1 &&
    cmake --build "$folder/build" -j "$(nproc)" >>"$folder/log" 2>&1; then
    "$folder/build/consumer" || fail "$1: the program does not run"
  else
    fail "$1: $(grep -iE 'error|undefined' "$folder/log" | head -n 3)"
  fi
}

# Installed ---------------------------------------------------------------------------------------
cmake --install "$build" --prefix "$work/installed place" --component library >"$work/log" 2>&1 ||
  fail "cmake --install: $(tail -n 3 "$work/log")"
mv "$work/installed place" "$work/moved"  # nothing in it may know where it was put first
include=$work/moved/include
project found 'find_package(serenade CONFIG REQUIRED)'
make_and_run found -DCMAKE_PREFIX_PATH="$work/moved"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name serenade.pc)")
# shellcheck disable=SC2046
if "$cxx" $warnings "$work/main.cpp" -o "$work/by_pkg_config" $(pkg-config --cflags --libs serenade) \
  >"$work/log" 2>&1; then
  "$work/by_pkg_config" || fail "pkg-config: the program does not run"
else
  fail "pkg-config: $(head -n 3 "$work/log")"
fi
# A program for the other real does not link: its numbers would be taken for something else.
echo '#include <serenade/tensor/tensor.h>
int main() { return static_cast<int>(serenade::Tensor({2, 2}).numel()) - 4; }' >"$work/real.cpp"
# shellcheck disable=SC2046
for real in '' -DSERENADE_DOUBLE; do
  "$cxx" $real "$work/real.cpp" -o "$work/real$real" $(pkg-config --cflags --libs serenade) \
    >"$work/log$real" 2>&1
done
"$work/real" || fail "the smallest program does not run: $(head -n 3 "$work/log")"
grep -q 'undefined reference.*serenade_real_is_double' "$work/log-DSERENADE_DOUBLE" ||
  fail "a program in double is not kept from the library in float"

cd "$include" || exit 1
alone() {  # every public header is enough by itself
  echo "#include <$1>" | "$cxx" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I. -x c++ - 2>&1 |
    sed "s|^|FAIL: $1 alone: |" | head -n 3
}
export -f alone
export cxx
headers=$(find serenade -name '*.h' | sort)
xargs -P "$(nproc)" -I{} bash -c 'alone {}' <<<"$headers" >"$work/alone"
cat "$work/alone"
[ -s "$work/alone" ] && failed=1
[ "$(wc -l <<<"$headers")" -ge 70 ] || fail "only $(wc -l <<<"$headers") headers were installed"
foreign=$(grep -rnE '^ *# *define +[A-Za-z_]' serenade | grep -v 'define SERENADE_')
[ -z "$foreign" ] || fail "macros without our prefix: $foreign"
foreign=$(grep -rnE '#include "' serenade | grep -v '#include "serenade/')
[ -z "$foreign" ] || fail "includes that others may have, too: $foreign"
nm -C "$(find "$work/moved" -name libserenade_core.a)" 2>/dev/null | grep -qE 'doctest|serenade::test' &&
  fail "the library holds symbols of the tests"

# As a subdirectory -------------------------------------------------------------------------------
project below "add_subdirectory(\"$root\" library)"
make_and_run below -DSERENADE_CUDA=OFF -DCMAKE_BUILD_TYPE=Debug
leaked=$(grep -E '"command".*-o CMakeFiles/consumer' "$work/below/build/compile_commands.json" |
  grep -oE -- "-fopenmp-simd|-O[0-9]|-D[A-Z_]*|-I *\"?$root[ \"]" | sort -u)
[ -z "$leaked" ] || fail "flags for the library reach the project around it: $leaked"
[ $failed -eq 0 ] && echo "package: $(wc -l <<<"$headers") headers, three programs"
exit $failed
