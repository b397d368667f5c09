// Every kind of bug that the emulation looks for, planted once: it has to be found in every order
// of the threads, and the report has to name the kernel, the file and the line marked "bug:
// <name>". Two marked lines of one name are the two sides of a race: the order of the threads
// decides which of them comes second and is reported.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "kernels/runtime/cuda/device_code.h"

using serenade::emulation::Buffer;
using serenade::emulation::Fault;
using serenade::emulation::in_every_order;
using serenade::emulation::KernelError;

namespace {

constexpr const char* kThisFile = "tests/cuda/emulation/planted_bugs.cpp";

std::set<unsigned> lines_of(const std::string& bug) {
  std::ifstream source(std::string(SERENADE_SOURCE_DIR) + "/" + kThisFile);
  const std::string marker = "// bug: " + bug;
  std::set<unsigned> lines;
  std::string line;
  for (unsigned number = 1; std::getline(source, line); ++number) {
    if (line.ends_with(marker)) lines.insert(number);
  }
  return lines;
}

// `bug` is the name of the mark and, up to a dot, of the kernel.
void expect(Fault fault, const std::string& bug, const std::function<void()>& launch) {
  CAPTURE(bug);
  const std::set<unsigned> lines = lines_of(bug);
  REQUIRE(!lines.empty());
  in_every_order([&] {
    bool found = false;
    try {
      launch();
    } catch (const KernelError& error) {
      found = true;
      const std::string what = error.what();
      CAPTURE(what);
      CHECK(to_string(error.fault()) == std::string(to_string(fault)));
      CHECK(lines.count(error.line()) == 1);
      CHECK(std::string(error.file()).ends_with(kThisFile));
      CHECK(error.kernel().substr(0, error.kernel().find('<')) == bug.substr(0, bug.find('.')));
      CHECK(what.find(std::string(kThisFile) + ":" + std::to_string(error.line())) !=
            std::string::npos);
      CHECK(what.find(error.kernel()) != std::string::npos);
    }
    CHECK_MESSAGE(found, "not found");
  });
}

}  // namespace

namespace serenade::cuda {
namespace {

// Barriers ---------------------------------------------------------------------------------------

__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();  // bug: two_barriers
  } else {
    __syncthreads();  // bug: two_barriers
  }
}

__global__ void early_return() {
  if (threadIdx.x == 40) return;
  __syncthreads();  // bug: early_return
}

__global__ void loop_too_long() {
  for (unsigned i = 0; i < 3 + threadIdx.x / 63; ++i) {
    __syncthreads();  // bug: loop_too_long
  }
}

__global__ void two_shuffles(GlobalPointer<int> out) {
  int v = static_cast<int>(threadIdx.x);
  if (threadIdx.x % 2 == 0) {
    v = __shfl_xor_sync(~0u, v, 2);  // bug: two_shuffles
  } else {
    v = __shfl_xor_sync(~0u, v, 2);  // bug: two_shuffles
  }
  out[threadIdx.x] = v;
}

__global__ void two_masks() {
  __syncwarp(threadIdx.x < 16 ? ~0u : 0xFFFF0000u);  // bug: two_masks
}

__global__ void lane_has_left(GlobalPointer<int> out) {
  if (threadIdx.x == 9) return;
  out[threadIdx.x] = __shfl_sync(~0u, 1, 0);  // bug: lane_has_left
}

__global__ void warp_and_block() {
  if (threadIdx.x == 3) {
    __syncthreads();  // bug: warp_and_block
  } else {
    __syncwarp();
  }
}

__global__ void spin(GlobalPointer<int> flag) {
  while (atomicAdd(&flag[0], 0) == 0) {  // bug: spin
  }
}

// Races ------------------------------------------------------------------------------------------

__global__ void no_barrier(GlobalPointer<float> y) {
  SERENADE_SHARED(float, tile, [64]);
  tile[threadIdx.x] = 0.0f;
  __syncthreads();
  tile[threadIdx.x] = 1.0f;                 // bug: no_barrier
  y[threadIdx.x] = tile[63 - threadIdx.x];  // bug: no_barrier
}

__global__ void no_second_barrier(GlobalPointer<float> y) {
  SERENADE_SHARED(float, tile, [64]);
  float sum = 0.0f;
  for (int round = 0; round < 3; ++round) {
    tile[threadIdx.x] = sum;  // bug: no_second_barrier
    __syncthreads();
    for (int i = 0; i < 64; ++i) {
      sum += tile[i];  // bug: no_second_barrier
    }
  }
  y[threadIdx.x] = sum;
}

__global__ void two_writers() {
  SERENADE_SHARED(int, flag, [1]);
  flag[0] = static_cast<int>(threadIdx.x);  // bug: two_writers
}

__global__ void shuffle_is_no_barrier(GlobalPointer<int> y) {
  SERENADE_SHARED(int, tile, [32]);
  const int lane = static_cast<int>(threadIdx.x);
  tile[lane] = lane;
  const int other = __shfl_xor_sync(~0u, lane, 1);
  y[lane] = tile[other];  // bug: shuffle_is_no_barrier
}

__global__ void mask_too_small(GlobalPointer<int> y) {
  SERENADE_SHARED(int, tile, [32]);
  const int lane = static_cast<int>(threadIdx.x);
  tile[lane] = lane;  // bug: mask_too_small
  __syncwarp(lane < 16 ? 0x0000FFFFu : 0xFFFF0000u);
  y[lane] = tile[31 - lane];  // bug: mask_too_small
}

__global__ void atomic_and_plain(GlobalPointer<int> y) {
  SERENADE_SHARED(int, count, [1]);
  if (threadIdx.x == 0) count[0] = 0;
  __syncthreads();
  atomicAdd(&count[0], 1);    // bug: atomic_and_plain
  y[threadIdx.x] = count[0];  // bug: atomic_and_plain
}

__global__ void global_race(GlobalPointer<float> y) {
  y[threadIdx.x] = 1.0f;                // bug: global_race
  const float v = y[threadIdx.x ^ 32];  // bug: global_race
  __syncthreads();
  y[threadIdx.x] = v;
}

__global__ void blocks_race(GlobalPointer<float> sum) {
  if (threadIdx.x == 0) sum[0] += 1.0f;  // bug: blocks_race
}

// cp.async ----------------------------------------------------------------------------------------

// Right but for one word that is left out, or a number that is too large by one.
enum class Bug { no_wait, no_commit, late_wait, no_last_wait };

template <Bug kBug>
__global__ void pipeline(GlobalPointer<float> y, GlobalPointer<const float> x) {
  SERENADE_SHARED(float, tile, [2][64]);
  const unsigned t = threadIdx.x;
  copy_async<4>(&tile[0][t], x + t);
  if (kBug != Bug::no_commit) commit_copies();
  copy_async<4>(&tile[1][t], x + t);  // bug: pipeline.end
  commit_copies();
  if (kBug == Bug::late_wait) {
    wait_for_copies<2>();
  } else if (kBug != Bug::no_wait) {
    wait_for_copies<1>();
  }
  __syncthreads();
  const float v = tile[0][63 - t];  // bug: pipeline.read
  if (kBug != Bug::no_last_wait) wait_for_copies<0>();
  y[t] = v;
}

__global__ void copies_unseen(GlobalPointer<float> y, GlobalPointer<const float> x) {
  SERENADE_SHARED(float, tile, [64]);
  const unsigned t = threadIdx.x;
  tile[t] = 0.0f;
  __syncthreads();
  copy_async<4>(&tile[t], x + t);  // bug: copies_unseen
  commit_copies();
  wait_for_copies<0>();
  const float v = tile[63 - t];  // bug: copies_unseen
  y[t] = v;
}

// Contents ---------------------------------------------------------------------------------------

__global__ void unwritten_shared(GlobalPointer<float> y) {
  SERENADE_SHARED(float, tile, [65]);
  tile[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x + 1];  // bug: unwritten_shared
}

// Right in the first block; the others must not live on what it left behind.
__global__ void unwritten_in_second_block(GlobalPointer<int> y) {
  SERENADE_DYNAMIC_SHARED(int, memory);
  if (blockIdx.x == 0) memory[threadIdx.x] = 1;
  y[blockIdx.x * blockDim.x + threadIdx.x] = memory[threadIdx.x];  // bug: unwritten_in_second_block
}

__global__ void unwritten_counter() {
  SERENADE_SHARED(int, counter, [1]);
  atomicAdd(&counter[0], 1);  // bug: unwritten_counter
}

__global__ void unwritten_result(GlobalPointer<float> y) {
  y[threadIdx.x] += 1.0f;  // bug: unwritten_result
}

__global__ void raw_shared(GlobalPointer<float> y) {
  SERENADE_SHARED(float, tile, [64]);
  const float* const raw = SharedPointer<float>(tile).address();
  y[blockIdx.x * 64 + threadIdx.x] = raw[threadIdx.x];
  tile[threadIdx.x] = 1.0f;
}

// Addresses --------------------------------------------------------------------------------------

__global__ void next_row(GlobalPointer<float> y) {
  SERENADE_SHARED(float, tile, [4][8]);
  for (int i = 0; i < 32; ++i) tile[i / 8][i % 8] = 1.0f;
  y[0] = tile[1][8];  // bug: next_row
}

__global__ void beyond_dynamic(int i) {
  SERENADE_DYNAMIC_SHARED(float, memory);
  const SharedPointer<float> half = memory + 64;
  half[i] = 0.0f;  // bug: beyond_dynamic
}

__global__ void beyond_global(GlobalPointer<float> y, GlobalPointer<const float> x, int i) {
  const float v = x[i];  // bug: beyond_global
  y[0] = v;
}

__global__ void guard_zone(float* y, int i) { y[i] = 0.0f; }

__global__ void odd_vector(GlobalPointer<float> y, int i) {
  SERENADE_SHARED(float, tile, [64]);
  for (int k = 0; k < 64; ++k) tile[k] = 0.0f;
  const float4 v = load_vector<float4>(&tile[i]);  // bug: odd_vector
  y[0] = v.x;
}

__global__ void odd_store(GlobalPointer<float> y, int i) {
  store_vector(y + i, make_float2(1.0f, 2.0f));  // bug: odd_store
}

__global__ void odd_copy(GlobalPointer<const float> x) {
  SERENADE_SHARED(float, tile, [64]);
  copy_async<16>(&tile[0], x + 2);  // bug: odd_copy
}

// Sizes ------------------------------------------------------------------------------------------

template <int kFloats>
__global__ void large_arrays() {
  SERENADE_SHARED(float, half, [6144]);
  half[threadIdx.x] = 0.0f;
  SERENADE_SHARED(float, rest, [kFloats]);  // bug: large_arrays
  rest[threadIdx.x] = 0.0f;
}

__global__ void no_dynamic() {
  SERENADE_DYNAMIC_SHARED(float, memory);  // bug: no_dynamic
  memory[threadIdx.x] = 0.0f;
}

__global__ void nothing() {}

// Warps ------------------------------------------------------------------------------------------

__global__ void own_lane_missing() {
  __syncwarp(0x7FFFFFFFu);  // bug: own_lane_missing
}

__global__ void reads_absent_lane(GlobalPointer<int> y) {
  if (threadIdx.x >= 16) return;
  y[threadIdx.x] = __shfl_down_sync(0xFFFFu, 1, 8);  // bug: reads_absent_lane
}

__global__ void half_a_product() {
  float d[4] = {};
  const std::uint32_t a[4] = {}, b[2] = {};
  mma_m16n8k8(d, a, b);  // bug: half_a_product
}

}  // namespace
}  // namespace serenade::cuda

using namespace serenade::cuda;

TEST_SUITE("cuda emulation") {
  TEST_CASE("emulation: finds threads that wait at different barriers, or have left") {
    Buffer<int> out("out", 64);
    expect(Fault::divergence, "two_barriers",
           [] { SERENADE_LAUNCH(two_barriers, 1, 64, 0, nullptr); });
    expect(Fault::divergence, "early_return",
           [] { SERENADE_LAUNCH(early_return, 1, 64, 0, nullptr); });
    expect(Fault::divergence, "loop_too_long",
           [] { SERENADE_LAUNCH(loop_too_long, 1, 64, 0, nullptr); });
    expect(Fault::divergence, "two_shuffles",
           [&] { SERENADE_LAUNCH(two_shuffles, 1, 64, 0, nullptr, out.data()); });
    expect(Fault::divergence, "two_masks", [] { SERENADE_LAUNCH(two_masks, 1, 32, 0, nullptr); });
    expect(Fault::divergence, "lane_has_left",
           [&] { SERENADE_LAUNCH(lane_has_left, 1, 64, 0, nullptr, out.data()); });
  }

  TEST_CASE("emulation: finds deadlocks") {
    expect(Fault::deadlock, "warp_and_block",
           [] { SERENADE_LAUNCH(warp_and_block, 1, 64, 0, nullptr); });
    Buffer<int> flag("flag", std::vector<int>(1));
    expect(Fault::deadlock, "spin", [&] { SERENADE_LAUNCH(spin, 1, 32, 0, nullptr, flag.data()); });
  }

  TEST_CASE("emulation: finds races on shared memory") {
    Buffer<float> y("y", 64);
    Buffer<int> k("k", 64);
    expect(Fault::race, "no_barrier",
           [&] { SERENADE_LAUNCH(no_barrier, 1, 64, 0, nullptr, y.data()); });
    expect(Fault::race, "no_second_barrier",
           [&] { SERENADE_LAUNCH(no_second_barrier, 1, 64, 0, nullptr, y.data()); });
    expect(Fault::race, "two_writers", [] { SERENADE_LAUNCH(two_writers, 1, 2, 0, nullptr); });
    expect(Fault::race, "shuffle_is_no_barrier",
           [&] { SERENADE_LAUNCH(shuffle_is_no_barrier, 1, 32, 0, nullptr, k.data()); });
    expect(Fault::race, "mask_too_small",
           [&] { SERENADE_LAUNCH(mask_too_small, 1, 32, 0, nullptr, k.data()); });
    expect(Fault::race, "atomic_and_plain",
           [&] { SERENADE_LAUNCH(atomic_and_plain, 1, 64, 0, nullptr, k.data()); });
  }

  TEST_CASE("emulation: finds races on global memory, within a block and between blocks") {
    Buffer<float> y("y", std::vector<float>(64));
    expect(Fault::race, "global_race",
           [&] { SERENADE_LAUNCH(global_race, 1, 64, 0, nullptr, y.data()); });
    expect(Fault::race, "blocks_race",
           [&] { SERENADE_LAUNCH(blocks_race, 2, 32, 0, nullptr, y.data()); });
  }

  TEST_CASE("emulation: finds copies that nobody waited for") {
    Buffer<float> y("y", 64), x("x", std::vector<float>(64, 1.0f));
    expect(Fault::missing_wait, "pipeline.read",
           [&] { SERENADE_LAUNCH(pipeline<Bug::no_wait>, 1, 64, 0, nullptr, y.data(), x.data()); });
    expect(Fault::missing_wait, "pipeline.read", [&] {
      SERENADE_LAUNCH(pipeline<Bug::no_commit>, 1, 64, 0, nullptr, y.data(), x.data());
    });
    expect(Fault::missing_wait, "pipeline.read", [&] {
      SERENADE_LAUNCH(pipeline<Bug::late_wait>, 1, 64, 0, nullptr, y.data(), x.data());
    });
    expect(Fault::missing_wait, "pipeline.end", [&] {
      SERENADE_LAUNCH(pipeline<Bug::no_last_wait>, 1, 64, 0, nullptr, y.data(), x.data());
    });
    expect(Fault::race, "copies_unseen",
           [&] { SERENADE_LAUNCH(copies_unseen, 1, 64, 0, nullptr, y.data(), x.data()); });
  }

  TEST_CASE("emulation: finds reads of unwritten memory") {
    Buffer<float> y("y", 128);
    Buffer<int> k("k", 128);
    expect(Fault::unwritten, "unwritten_shared",
           [&] { SERENADE_LAUNCH(unwritten_shared, 1, 64, 0, nullptr, y.data()); });
    expect(Fault::unwritten, "unwritten_in_second_block",
           [&] { SERENADE_LAUNCH(unwritten_in_second_block, 2, 64, 256, nullptr, k.data()); });
    expect(Fault::unwritten, "unwritten_counter",
           [] { SERENADE_LAUNCH(unwritten_counter, 1, 64, 0, nullptr); });
    expect(Fault::unwritten, "unwritten_result", [] {
      Buffer<float> result("result", 64);
      SERENADE_LAUNCH(unwritten_result, 1, 64, 0, nullptr, result.data());
    });
  }

  TEST_CASE("emulation: shared memory is NaN at the start of every block") {
    in_every_order([] {
      Buffer<float> y("y", 128);
      std::fill_n(y.data(), y.size(), 0.0f);
      SERENADE_LAUNCH(raw_shared, 2, 64, 0, nullptr, y.data());
      for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]));
    });
  }

  TEST_CASE("emulation: finds accesses out of range") {
    Buffer<float> y("y", 8), x("x", std::vector<float>(8));
    expect(Fault::out_of_range, "next_row",
           [&] { SERENADE_LAUNCH(next_row, 1, 1, 0, nullptr, y.data()); });
    for (const int i : {-65, 64}) {
      expect(Fault::out_of_range, "beyond_dynamic",
             [i] { SERENADE_LAUNCH(beyond_dynamic, 1, 1, 512, nullptr, i); });
    }
    for (const int i : {-1, 8, 1 << 30}) {
      expect(Fault::out_of_range, "beyond_global",
             [&] { SERENADE_LAUNCH(beyond_global, 1, 1, 0, nullptr, y.data(), x.data(), i); });
    }
    for (const int i : {-1, 8}) {
      expect(Fault::out_of_range, "guard_zone", [i] {
        Buffer<float> z("z", 8);
        SERENADE_LAUNCH(guard_zone, 1, 1, 0, nullptr, z.data(), i);  // bug: guard_zone
      });
    }
  }

  TEST_CASE("emulation: finds misaligned vectors") {
    Buffer<float> y("y", 64), x("x", std::vector<float>(64));
    expect(Fault::misaligned, "odd_vector",
           [&] { SERENADE_LAUNCH(odd_vector, 1, 1, 0, nullptr, y.data(), 2); });
    expect(Fault::misaligned, "odd_store",
           [&] { SERENADE_LAUNCH(odd_store, 1, 1, 0, nullptr, y.data(), 1); });
    expect(Fault::misaligned, "odd_copy",
           [&] { SERENADE_LAUNCH(odd_copy, 1, 1, 0, nullptr, x.data()); });
  }

  TEST_CASE("emulation: counts shared memory") {
    SERENADE_LAUNCH(large_arrays<6144>, 1, 1, (227 - 48) * 1024, nullptr);  // just fits
    expect(Fault::shared_memory, "large_arrays",
           [] { SERENADE_LAUNCH(large_arrays<6145>, 1, 1, 0, nullptr); });
    expect(Fault::shared_memory, "large_arrays",
           [] { SERENADE_LAUNCH(large_arrays<6144>, 1, 1, (227 - 48) * 1024 + 1, nullptr); });
    expect(Fault::shared_memory, "nothing.dynamic", [] {
      SERENADE_LAUNCH(nothing, 1, 1, 227 * 1024 + 1, nullptr);  // bug: nothing.dynamic
    });
    expect(Fault::shared_memory, "no_dynamic",
           [] { SERENADE_LAUNCH(no_dynamic, 1, 1, 0, nullptr); });
  }

  TEST_CASE("emulation: refuses impossible grids and blocks") {
    SERENADE_LAUNCH(nothing, dim3(2, 1, 3), dim3(8, 2, 64), 0, nullptr);  // just fits
    for (const dim3 block : {dim3(1025), dim3(32, 33), dim3(0), dim3(1, 1, 65)}) {
      expect(Fault::launch, "nothing.block", [&] {
        SERENADE_LAUNCH(nothing, 1, block, 0, nullptr);  // bug: nothing.block
      });
    }
    for (const dim3 grid : {dim3(0), dim3(1, 65536), dim3(1, 1, 65536)}) {
      expect(Fault::launch, "nothing.grid", [&] {
        SERENADE_LAUNCH(nothing, grid, 1, 0, nullptr);  // bug: nothing.grid
      });
    }
  }

  TEST_CASE("emulation: finds warp operations with lanes missing") {
    Buffer<int> y("y", 64);
    expect(Fault::warp, "own_lane_missing",
           [] { SERENADE_LAUNCH(own_lane_missing, 1, 32, 0, nullptr); });
    expect(Fault::warp, "reads_absent_lane",
           [&] { SERENADE_LAUNCH(reads_absent_lane, 1, 32, 0, nullptr, y.data()); });
    expect(Fault::warp, "half_a_product",
           [] { SERENADE_LAUNCH(half_a_product, 1, 16, 0, nullptr); });
  }
}
