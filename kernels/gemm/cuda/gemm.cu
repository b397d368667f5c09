// Matrix products: the plain steps of the ladder (versions.h), splits of k, and the choice.

#include "kernels/gemm/gemm.h"

#include <algorithm>

#include "kernels/gemm/cuda/tile.cuh"
#include "kernels/gemm/cuda/versions.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

namespace {

constexpr int kTile = 16;  // of v0's blocks and v1's tiles

// What gridDim.y and gridDim.z may be at most.
constexpr std::int64_t kGridLimit = 65535;

// Blocks that keep a large device busy: two for each of 132 multiprocessors. A constant, since the
// number of splits decides how sums are rounded.
constexpr std::int64_t kBusyBlocks = 264;

// A split is not worth its second kernel below this many elements of k.
constexpr std::int64_t kMinSplit = 256;

/// Of element (row, column) of op(X).
__device__ __forceinline__ std::int64_t offset(std::int64_t row, std::int64_t column, int ld,
                                               bool transpose) {
  return transpose ? column * ld + row : row * ld + column;
}

/// The definition. 2 k loads for 2 k operations per thread, of which a warp shares those of A.
__global__ void __launch_bounds__(kTile* kTile)
    plain(GlobalPointer<real> c, GlobalPointer<const real> a, GlobalPointer<const real> b,
          bool transpose_a, bool transpose_b, GemmSizes s) {
  const int tile = static_cast<int>(blockIdx.x);
  const int row = tile / s.column_tiles * kTile + static_cast<int>(threadIdx.y);
  const int column = tile % s.column_tiles * kTile + static_cast<int>(threadIdx.x);
  if (row >= s.m || column >= s.n) return;
  const std::int64_t matrix = blockIdx.z;
  const GlobalPointer<const real> own_b = s.b_of(b, matrix);
  real sum = 0;
  for (int i = 0; i < s.k; ++i) {
    const real x = a[matrix * s.stride_a + offset(row, i, s.lda, transpose_a)];
    const real y = own_b[offset(i, column, s.ldb, transpose_b)];
    sum += x * y;
  }
  put_element(c, matrix * s.stride_c + offset(row, column, s.ldc, false), sum, s.alpha, s.beta);
}

/// Each thread loads one value of A and one of B for 16 multiply-adds. The transposed tile is
/// read from memory along its rows, too; its padding keeps a column in different banks.
/// Shared memory: 2.2 KB.
__global__ void __launch_bounds__(kTile* kTile)
    shared_tile(GlobalPointer<real> c, GlobalPointer<const real> a, GlobalPointer<const real> b,
                bool transpose_a, bool transpose_b, GemmSizes s) {
  SERENADE_SHARED(real, a_tile, [kTile][kTile + 1]);  // [row of C][k]
  SERENADE_SHARED(real, b_tile, [kTile][kTile + 1]);  // [k][column of C]
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int tile = static_cast<int>(blockIdx.x);
  const int first_row = tile / s.column_tiles * kTile, first_column = tile % s.column_tiles * kTile;
  const std::int64_t matrix = blockIdx.z;
  const GlobalPointer<const real> own_b = s.b_of(b, matrix);
  real sum = 0;
  for (int k = 0; k < s.k; k += kTile) {
    const int a_row = first_row + (transpose_a ? x : y), a_k = k + (transpose_a ? y : x);
    real value = 0;
    if (a_row < s.m && a_k < s.k) {
      value = a[matrix * s.stride_a + offset(a_row, a_k, s.lda, transpose_a)];
    }
    a_tile[a_row - first_row][a_k - k] = value;
    const int b_column = first_column + (transpose_b ? y : x), b_k = k + (transpose_b ? x : y);
    value = 0;
    if (b_column < s.n && b_k < s.k) {
      value = own_b[offset(b_k, b_column, s.ldb, transpose_b)];
    }
    b_tile[b_k - k][b_column - first_column] = value;
    __syncthreads();
    SERENADE_UNROLL for (int i = 0; i < kTile; ++i) {
      const real p = a_tile[y][i], q = b_tile[i][x];
      sum += p * q;
    }
    __syncthreads();
  }
  const int row = first_row + y, column = first_column + x;
  if (row >= s.m || column >= s.n) return;
  put_element(c, matrix * s.stride_c + offset(row, column, s.ldc, false), sum, s.alpha, s.beta);
}

constexpr int kSumElements = 32, kSumSlices = 8;

/// C = alpha (sum of the partial matrices) + beta C. partials: [splits, batch, m, n]. Eight threads
/// share an element, so that a sum over 200 splits waits for memory 25 times and not 200.
__global__ void __launch_bounds__(kSumElements* kSumSlices)
    add_splits(GlobalPointer<real> c, GlobalPointer<const real> partials, std::int64_t splits,
               GemmSizes s) {
  SERENADE_SHARED(real, slices, [kSumSlices][kSumElements]);
  const std::int64_t size = std::int64_t{s.m} * s.n, count = size * s.batch;
  const std::int64_t i = std::int64_t{blockIdx.x} * kSumElements + threadIdx.x;
  real sum = 0;
  if (i < count) {
    for (std::int64_t split = threadIdx.y; split < splits; split += kSumSlices) {
      const real partial = partials[split * count + i];
      sum += partial;
    }
  }
  slices[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= count) return;
  for (int slice = 1; slice < kSumSlices; ++slice) {
    const real more = slices[slice][threadIdx.x];
    sum += more;
  }
  const std::int64_t matrix = i / size, row = i % size / s.n, column = i % s.n;
  put_element(c, matrix * s.stride_c + offset(row, column, s.ldc, false), sum, s.alpha, s.beta);
}

/// Splits for a product of more tiles than multiprocessors, but few: the busiest one has
/// ceil(tiles / multiprocessors) of them, up to twice the average. In cycles of an H200: 128
/// multiply-adds each (tensor cores: 512, by way of mma), 2200 bytes of partial sums, and about
/// 6000 for another launch.
std::int64_t splits_to_balance(const GemmCall& call, std::int64_t blocks, std::int64_t elements,
                               bool tensor_cores) {
  const std::int64_t depth_cycles = elements / (tensor_cores ? 512 : 128);
  const std::int64_t bytes = 8 * call.batch * call.m * call.n;
  std::int64_t best = 1, least = 0;
  for (std::int64_t splits = 1; splits <= 8 && splits * kMinSplit <= call.k; ++splits) {
    const std::int64_t rounds = ceil_div(blocks * splits, kBusyBlocks / 2);
    std::int64_t cycles = rounds * ceil_div(call.k, splits) * depth_cycles;
    if (splits > 1) cycles += 6000 + splits * bytes / 2200;
    if (splits > 1 && cycles >= least) continue;
    best = splits;
    least = cycles;
  }
  return best;
}

std::int64_t tiles(const GemmCall& call, std::int64_t rows, std::int64_t columns) {
  return ceil_div(call.m, rows) * ceil_div(call.n, columns) * call.batch;
}

void run_unsplit(const GemmCall& call, const GemmPlan& plan) {
  switch (plan.version) {
    case GemmVersion::plain:
      return gemm_v0_plain(call);
    case GemmVersion::shared_tile:
      return gemm_v1_shared_tile(call);
    case GemmVersion::register_block:
      return gemm_v2_register_block(call, plan.tile, std::max<std::int64_t>(call.k, 1));
    case GemmVersion::tensor_cores:
      return gemm_v3_tensor_cores(call, plan.tile, std::max<std::int64_t>(call.k, 1));
  }
}

void run_split(const GemmCall& call, const GemmPlan& plan) {
  const std::int64_t depth = ceil_div(ceil_div(call.k, plan.splits), kTileDepth) * kTileDepth;
  const std::int64_t splits = ceil_div(call.k, depth), count = call.batch * call.m * call.n;
  const DeviceArray<real> partials(splits * count);
  GemmCall partial = call;
  partial.alpha = 1;
  partial.beta = 0;
  partial.c = partials.data();
  partial.ldc = call.n;
  partial.stride_c = call.m * call.n;
  if (plan.version == GemmVersion::tensor_cores) {
    gemm_v3_tensor_cores(partial, plan.tile, depth);
  } else {
    gemm_v2_register_block(partial, plan.tile, depth);
  }
  const GemmSizes s = gemm_sizes(call, 1, call.k);
  SERENADE_LAUNCH(add_splits, dim3(blocks_for(count, kSumElements)), dim3(kSumElements, kSumSlices),
                  0, current_stream(), call.c, partials.data(), splits, s);
}

/// Accesses of 16 bytes need aligned rows whose length is a multiple of 16 bytes.
bool has_vectors(const real* x, std::int64_t row, std::int64_t ld, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(x) % 16 == 0 && row % kVector == 0 && ld % kVector == 0 &&
         stride % kVector == 0;
}

}  // namespace

GemmSizes gemm_sizes(const GemmCall& call, int columns, std::int64_t split_depth) {
  GemmSizes s{};
  s.m = static_cast<int>(call.m);
  s.n = static_cast<int>(call.n);
  s.k = static_cast<int>(call.k);
  s.batch = static_cast<int>(call.batch);
  s.split_depth = static_cast<int>(split_depth);
  s.column_tiles = static_cast<int>(ceil_div(call.n, columns));
  s.a_vectors = has_vectors(call.a, call.transpose_a ? call.m : call.k, call.lda, call.stride_a);
  s.b_vectors = has_vectors(call.b, call.transpose_b ? call.k : call.n, call.ldb, call.stride_b) &&
                reinterpret_cast<std::uintptr_t>(call.second_b) % 16 == 0;
  s.second_b = call.second_b;
  s.c_vectors = has_vectors(call.c, call.n, call.ldc, call.stride_c);
  s.lda = static_cast<int>(call.lda);
  s.ldb = static_cast<int>(call.ldb);
  s.ldc = static_cast<int>(call.ldc);
  s.stride_a = call.stride_a;
  s.stride_b = call.stride_b;
  s.stride_c = call.stride_c;
  s.alpha = call.alpha;
  s.beta = call.beta;
  return s;
}

GemmTile fitting_tile(const GemmCall& call, GemmTile wanted) {
  const GemmSizes s = gemm_sizes(call, 1, 1);
  return wanted == GemmTile::large && !(s.a_vectors && s.b_vectors) ? GemmTile::medium : wanted;
}

dim3 gemm_grid(const GemmCall& call, int rows, int columns, std::int64_t split_depth) {
  const std::int64_t splits = std::max<std::int64_t>(1, ceil_div(call.k, split_depth));
  return dim3(static_cast<unsigned>(ceil_div(call.m, rows) * ceil_div(call.n, columns)), 1,
              static_cast<unsigned>(call.batch * splits));
}

void gemm_v0_plain(const GemmCall& call) {
  SERENADE_LAUNCH(plain, gemm_grid(call, kTile, kTile, call.k + 1), dim3(kTile, kTile), 0,
                  current_stream(), call.c, call.a, call.b, call.transpose_a, call.transpose_b,
                  gemm_sizes(call, kTile, call.k));
}

void gemm_v1_shared_tile(const GemmCall& call) {
  SERENADE_LAUNCH(shared_tile, gemm_grid(call, kTile, kTile, call.k + 1), dim3(kTile, kTile), 0,
                  current_stream(), call.c, call.a, call.b, call.transpose_a, call.transpose_b,
                  gemm_sizes(call, kTile, call.k));
}

GemmPlan gemm_plan(const GemmCall& call, bool tensor_cores) {
  GemmPlan plan;
  if (call.m <= kTile && call.n <= kTile && call.k <= 2 * kMinSplit) {
    plan.version = GemmVersion::shared_tile;
    return plan;
  }
  const bool narrow = call.n <= kTile;
  plan.version = tensor_cores && !narrow && call.m > kTile ? GemmVersion::tensor_cores
                                                           : GemmVersion::register_block;
  std::int64_t blocks = tiles(call, 128, 128);
  if (narrow) {
    plan.tile = GemmTile::narrow;
    blocks = tiles(call, 128, 16);
  } else if (blocks >= kBusyBlocks / 2 && call.m > 64 && call.n > 64) {
    plan.tile = GemmTile::large;
  } else {
    plan.tile = GemmTile::medium;
    blocks = tiles(call, 64, 64);
  }
  if (blocks <= kBusyBlocks / 2) {
    plan.splits = std::min(kBusyBlocks / std::max<std::int64_t>(1, blocks),
                           std::max<std::int64_t>(1, call.k / kMinSplit));
  } else if (plan.tile == GemmTile::medium && blocks < 2 * kBusyBlocks) {
    plan.splits =
        splits_to_balance(call, blocks, 64 * 64, plan.version == GemmVersion::tensor_cores);
  }
  return plan;
}

void run_gemm(const GemmCall& call, const GemmPlan& plan) {
  if (call.batch == 0 || call.m == 0 || call.n == 0) return;
  if (plan.splits > 1 && call.k > kTileDepth) return run_split(call, plan);
  for (std::int64_t first = 0; first < call.batch; first += kGridLimit) {
    GemmCall part = call;
    part.batch = std::min(kGridLimit, call.batch - first);
    part.a += first * call.stride_a;
    part.b += first * call.stride_b;
    part.c += first * call.stride_c;
    run_unsplit(part, plan);
  }
}

void gemm_batched(std::int64_t batch, bool transpose_a, bool transpose_b, std::int64_t m,
                  std::int64_t n, std::int64_t k, real alpha, const real* a, std::int64_t stride_a,
                  const real* b, std::int64_t stride_b, real beta, real* c, std::int64_t stride_c) {
  GemmCall call{transpose_a, transpose_b, batch, m, n, k, alpha, beta, a, b, c};
  call.lda = transpose_a ? m : k;
  call.ldb = transpose_b ? k : n;
  call.ldc = n;
  call.stride_a = stride_a;
  call.stride_b = stride_b;
  call.stride_c = stride_c;
  run_gemm(call, gemm_plan(call, float32_math() == Float32Math::tf32));
}

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          real alpha, const real* a, std::int64_t lda, const real* b, std::int64_t ldb, real beta,
          real* c, std::int64_t ldc) {
  const GemmCall call{transpose_a, transpose_b, 1, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc};
  run_gemm(call, gemm_plan(call, float32_math() == Float32Math::tf32));
}

}  // namespace serenade::cuda
