// The emulation runs right kernels right: each feature of the device, in every order of the
// threads, against the same computation in plain C++. planted_bugs.cpp has the wrong ones.

#include "kernels/emulation/emulation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/cuda/emulation/example_kernels.cuh"

using namespace serenade::cuda;
using serenade::emulation::Buffer;
using serenade::emulation::in_every_order;

namespace {

// Reproducible values between -1 and 1 that are not exact in any format.
std::vector<float> some_values(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(std::sin(1.0 + 12.9898 * static_cast<double>(i)));
  }
  return values;
}

}  // namespace

TEST_SUITE("cuda emulation") {
  TEST_CASE_TEMPLATE("emulation: a sum over warps and blocks", T, float, double, int) {
    const int n = 1000;
    std::vector<T> values(n);
    for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<T>(i % 17 - 3);
    std::vector<T> first;
    in_every_order([&] {
      Buffer<T> sums("sums", 3);
      Buffer<T> x("x", values);
      SERENADE_LAUNCH(block_sums<T>, 3, 96, 0, nullptr, sums.data(), x.data(), n);
      CHECK(sums[0] + sums[1] + sums[2] == std::accumulate(values.begin(), values.end(), T(0)));
      if (first.empty()) first = sums.values();
      CHECK(sums.values() == first);
    });
  }

  TEST_CASE("emulation: a transposition through a shared tile") {
    const int rows = 37, columns = 21;
    const std::vector<float> values = some_values(rows * columns);
    in_every_order([&] {
      Buffer<float> y("y", values.size());
      Buffer<float> x("x", values);
      SERENADE_LAUNCH(transpose, dim3(2, 3), dim3(16, 16), 0, nullptr, y.data(), x.data(), rows,
                      columns);
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          REQUIRE(y[static_cast<std::size_t>(c * rows + r)] ==
                  x[static_cast<std::size_t>(r * columns + c)]);
        }
      }
    });
  }

  TEST_CASE("emulation: copies by cp.async into two buffers of dynamic memory") {
    const int threads = 64, n = 4 * threads, tiles = 5;
    const std::vector<float> values = some_values(static_cast<std::size_t>(n * tiles));
    in_every_order([&] {
      Buffer<float> y("y", values.size());
      Buffer<float> x("x", values);
      SERENADE_LAUNCH(mirror_sums, 1, threads, 2 * n * sizeof(float), nullptr, y.data(), x.data(),
                      tiles);
      for (int t = 0; t < tiles; ++t) {
        for (int i = 0; i < n; ++i) {
          const auto at = [&](int j) { return static_cast<std::size_t>(t * n + j); };
          REQUIRE(y[at(i)] == x[at(i)] + x[at(n - 1 - i)]);
        }
      }
    });
  }

  TEST_CASE("emulation: tensor cores multiply what TF32 keeps of the operands") {
    const int depth = 24;
    const std::vector<float> a = some_values(16 * depth), b = some_values(depth * 8);
    in_every_order([&] {
      Buffer<float> D("D", 16 * 8);
      Buffer<float> A("A", a), B("B", b);
      SERENADE_LAUNCH(tensor_product, 1, 32, 0, nullptr, D.data(), A.data(), B.data(), depth);
      double rounded_error = 0, exact_error = 0;
      for (int i = 0; i < 16; ++i) {
        for (int j = 0; j < 8; ++j) {
          double rounded = 0, exact = 0;
          for (int k = 0; k < depth; ++k) {
            const float p = a[static_cast<std::size_t>(i * depth + k)];
            const float q = b[static_cast<std::size_t>(k * 8 + j)];
            exact += double{p} * q;
            rounded += double{__uint_as_float(to_tf32(p))} * __uint_as_float(to_tf32(q));
          }
          const double d = D[static_cast<std::size_t>(i * 8 + j)];
          rounded_error = std::max(rounded_error, std::abs(d - rounded));
          exact_error = std::max(exact_error, std::abs(d - exact));
        }
      }
      CHECK(rounded_error < 1e-6);
      CHECK(exact_error < 1e-2);
      CHECK(exact_error > 1e-5);  // float32 would be nearer: the rounding did happen
    });
  }

  TEST_CASE("emulation: TF32 keeps ten bits of mantissa, ties away from zero") {
    CHECK(__uint_as_float(to_tf32(1.0f)) == 1.0f);
    CHECK(__uint_as_float(to_tf32(1.0f + 0x1p-11f)) == 1.0f + 0x1p-10f);
    CHECK(__uint_as_float(to_tf32(-1.0f - 0x1p-11f)) == -1.0f - 0x1p-10f);
    CHECK(__uint_as_float(to_tf32(1.0f + 0x1p-12f)) == 1.0f);
    CHECK(std::isinf(__uint_as_float(to_tf32(std::numeric_limits<float>::infinity()))));
    CHECK(std::isnan(__uint_as_float(to_tf32(std::nanf("")))));
  }

  TEST_CASE("emulation: a histogram by atomic additions") {
    const int n = 1000;
    std::vector<int> values(n), expected(16);
    for (int i = 0; i < n; ++i) {
      const int bin = i * i % 13;
      values[static_cast<std::size_t>(i)] = bin;
      ++expected[static_cast<std::size_t>(bin)];
    }
    in_every_order([&] {
      Buffer<int> counts("counts", std::vector<int>(16));
      Buffer<int> x("x", values);
      SERENADE_LAUNCH(histogram, 8, 128, 0, nullptr, counts.data(), x.data(), n);
      CHECK(counts.values() == expected);
    });
  }
}

namespace serenade::cuda {
namespace {

// result [6, 32]: what each lane gets.
__global__ void shuffles(GlobalPointer<int> result) {
  const int lane = static_cast<int>(threadIdx.x);
  result[lane] = __shfl_sync(~0u, lane * 10, 5);
  result[32 + lane] = __shfl_sync(~0u, lane * 10, lane + 1, 8);  // wraps round within its eight
  result[64 + lane] = __shfl_up_sync(~0u, lane, 3, 16);
  result[96 + lane] = __shfl_down_sync(~0u, lane, 3, 16);
  result[128 + lane] = __shfl_xor_sync(~0u, lane, 5);
  result[160 + lane] = -1;
  if (lane < 7) result[160 + lane] = __shfl_sync(0x7Fu, lane, 6 - lane);  // some lanes only
}

// result [7, 48]: one and a half warps.
__global__ void votes(GlobalPointer<int> result) {
  const int t = static_cast<int>(threadIdx.x);
  result[t] = static_cast<int>(__ballot_sync(~0u, t % 3 == 0));
  result[48 + t] = __any_sync(~0u, t == 40) * 2 + __all_sync(~0u, t < 40);
  result[96 + t] = __reduce_add_sync(~0u, t);
  result[144 + t] = __reduce_min_sync(~0u, t) * 100 + __reduce_max_sync(~0u, t);
  result[192 + t] = __syncthreads_count(t % 5 == 0);
  result[240 + t] = __syncthreads_or(t == 47) * 2 + __syncthreads_and(t < 47);
  result[288 + t] = __syncthreads_and(t < 48) * 2 + __syncthreads_or(t > 47);
}

// out [6] and [threads]: final values, and the old ones of the additions.
__global__ void atomics(GlobalPointer<int> out, GlobalPointer<int> old) {
  const int t = static_cast<int>(threadIdx.x);
  old[t] = atomicAdd(out, 1);
  atomicMin(out + 1, t - 5);
  atomicMax(out + 2, t * t);
  atomicOr(&out[3], 1 << (t % 8));
  atomicAnd(&out[4], ~(1 << (t % 4)));
  if (atomicCAS(&out[5], 0, t + 1) != 0) return;
  atomicExch(&out[5], 100);
}

// The index of every thread of the grid in x, y and z.
__global__ void places(GlobalPointer<int> result) {
  const unsigned x = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned y = blockIdx.y * blockDim.y + threadIdx.y;
  const unsigned z = blockIdx.z * blockDim.z + threadIdx.z;
  const unsigned width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
  result[(z * height + y) * width + x] = static_cast<int>(x + 100 * y + 10000 * z);
}

// Everything here is ordered, each time by another rule.
__global__ void ordered(GlobalPointer<int> y) {
  SERENADE_SHARED(int, tile, [64]);
  SERENADE_SHARED(std::uint8_t, bytes, [64]);
  const int t = static_cast<int>(threadIdx.x), lane = t % 32, warp = t / 32;
  tile[t] = t;
  bytes[t] = static_cast<std::uint8_t>(t);  // neighbours share a word, which is no race
  __syncwarp();
  int sum = tile[warp * 32 + 31 - lane];
  // Quarters, then the pairs (0, 1) and (2, 3) of quarters: known through a third lane.
  __syncwarp();
  tile[t] = 2 * t;
  __syncwarp(0xFFu << lane / 8 * 8);
  if (lane % 8 == 0) __syncwarp(lane / 16 == 0 ? 0x0101u : 0x01010000u);
  __syncwarp(0xFFu << lane / 8 * 8);
  sum += tile[warp * 32 + (lane ^ 8)];
  __syncthreads();
  tile[63 - t] = sum;
  __syncthreads();
  y[t] = y[t] + tile[t] + bytes[63 - t];
}

__global__ void intrinsics(GlobalPointer<float> f, GlobalPointer<int> i, float x) {
  f[0] = __expf(x) + __logf(x) + rsqrtf(x);
  f[1] = __fdividef(x, 4.0f) + __saturatef(x) + fmaf(x, x, 1.0f) + max(x, 1.0f) + min(x, 1.0f);
  i[0] = __popc(0xF0u) + __clz(1) * 10 + __ffs(8) * 1000 + min(3, 7) * 10000 + max(3, 7) * 100000;
  i[1] = static_cast<int>(__umulhi(0xD2511F53u, 0x80000000u));
  i[2] = __float_as_int(__int_as_float(0x40490FDB));
}

}  // namespace
}  // namespace serenade::cuda

TEST_SUITE("cuda emulation") {
  TEST_CASE("emulation: the four shuffles, with widths and masks") {
    in_every_order([] {
      Buffer<int> result("result", 6 * 32);
      SERENADE_LAUNCH(shuffles, 1, 32, 0, nullptr, result.data());
      for (int lane = 0; lane < 32; ++lane) {
        const auto row = [&](int r) { return result[static_cast<std::size_t>(r * 32 + lane)]; };
        CHECK(row(0) == 50);
        CHECK(row(1) == (lane / 8 * 8 + (lane + 1) % 8) * 10);
        CHECK(row(2) == (lane % 16 < 3 ? lane : lane - 3));
        CHECK(row(3) == (lane % 16 > 12 ? lane : lane + 3));
        CHECK(row(4) == (lane ^ 5));
        CHECK(row(5) == (lane < 7 ? 6 - lane : -1));
      }
    });
  }

  TEST_CASE("emulation: votes and reductions of warps and blocks") {
    in_every_order([] {
      Buffer<int> result("result", 7 * 48);
      SERENADE_LAUNCH(votes, 1, 48, 0, nullptr, result.data());
      for (int t = 0; t < 48; ++t) {
        const auto row = [&](int r) { return result[static_cast<std::size_t>(r * 48 + t)]; };
        const bool half = t >= 32;  // the second warp has 16 lanes
        CHECK(row(0) == (half ? 0x2492 : 0x49249249));
        CHECK(row(1) == (half ? 2 : 1));
        CHECK(row(2) == (half ? 632 : 496));
        CHECK(row(3) == (half ? 3247 : 31));
        CHECK(row(4) == 10);
        CHECK(row(5) == 2);
        CHECK(row(6) == 2);
      }
    });
  }

  TEST_CASE("emulation: atomic operations") {
    in_every_order([] {
      Buffer<int> out("out", std::vector<int>{0, 0, 0, 0, 0xFF, 0}), old("old", 64);
      SERENADE_LAUNCH(atomics, 1, 64, 0, nullptr, out.data(), old.data());
      CHECK(out.values() == std::vector<int>{64, -5, 63 * 63, 0xFF, 0xF0, 100});
      std::vector<int> sorted = old.values();
      std::sort(sorted.begin(), sorted.end());
      for (int t = 0; t < 64; ++t) CHECK(sorted[static_cast<std::size_t>(t)] == t);
    });
  }

  TEST_CASE("emulation: grids and blocks of three dimensions") {
    in_every_order([] {
      Buffer<int> result("result", 6 * 6 * 6);
      SERENADE_LAUNCH(places, dim3(3, 2, 1), dim3(2, 3, 6), 0, nullptr, result.data());
      for (int i = 0; i < 216; ++i) {
        CHECK(result[static_cast<std::size_t>(i)] == i % 6 + i / 6 % 6 * 100 + i / 36 * 10000);
      }
    });
  }

  TEST_CASE("emulation: what is ordered is no race") {
    in_every_order([] {
      Buffer<int> y("y", std::vector<int>(64));
      SERENADE_LAUNCH(ordered, 1, 64, 0, nullptr, y.data());
      SERENADE_LAUNCH(ordered, 1, 64, 0, nullptr, y.data());  // launches follow each other
      for (int t = 0; t < 64; ++t) {
        const int other = 63 - t, lane = other % 32, base = other - lane;
        const int sum = base + 31 - lane + 2 * (base + (lane ^ 8));
        CHECK(y[static_cast<std::size_t>(t)] == 2 * (sum + 63 - t));
      }
    });
  }

  TEST_CASE("emulation: arithmetic functions of the device") {
    Buffer<float> f("f", 2);
    Buffer<int> i("i", 3);
    SERENADE_LAUNCH(intrinsics, 1, 1, 0, nullptr, f.data(), i.data(), 2.0f);
    CHECK(f[0] == doctest::Approx(std::exp(2.0) + std::log(2.0) + std::sqrt(0.5)));
    CHECK(f[1] == doctest::Approx(0.5 + 1 + 5 + 2 + 1));
    CHECK(i[0] == 4 + 310 + 4000 + 30000 + 700000);
    CHECK(i[1] == 0x692'88FA9);
    CHECK(i[2] == 0x40490FDB);
  }
}
