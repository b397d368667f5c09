#pragma once
// Small kernels that use each feature of the device as the library's kernels do. They are written
// once for both compilers: the tests run them under emulation, and nvcc compiles them as they are.

#include "kernels/runtime/cuda/device_code.h"

namespace serenade::cuda {

/// sums[b]: the sum of what block b reads of x [n], in steps of the whole grid. Whole warps.
template <class T>
__global__ void block_sums(GlobalPointer<T> sums, GlobalPointer<const T> x, int n) {
  SERENADE_SHARED(T, partial, [32]);
  T sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n);
       i += gridDim.x * blockDim.x) {
    sum += x[i];
  }
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, step);
  if (lane == 0) partial[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    sum = lane < blockDim.x / 32 ? partial[lane] : T(0);
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xFFFFFFFFu, sum, step);
    if (lane == 0) sums[blockIdx.x] = sum;
  }
}

/// y [columns, rows] = x [rows, columns] transposed. Blocks of 16 x 16 threads, one tile each; the
/// padding to 17 keeps a column of the tile in 16 different banks.
__global__ void __launch_bounds__(256)
    transpose(GlobalPointer<float> y, GlobalPointer<const float> x, int rows, int columns) {
  SERENADE_SHARED(float, tile, [16][17]);
  const int row = static_cast<int>(blockIdx.y * 16 + threadIdx.y);
  const int column = static_cast<int>(blockIdx.x * 16 + threadIdx.x);
  if (row < rows && column < columns) tile[threadIdx.y][threadIdx.x] = x[row * columns + column];
  __syncthreads();
  const int y_row = static_cast<int>(blockIdx.x * 16 + threadIdx.y);
  const int y_column = static_cast<int>(blockIdx.y * 16 + threadIdx.x);
  if (y_row < columns && y_column < rows) {
    y[y_row * rows + y_column] = tile[threadIdx.x][threadIdx.y];
  }
}

/// y[t] = x[t] + x[n - 1 - t] within each of `tiles` rows of n = 4 blockDim.x floats, which pass
/// through two buffers of dynamic shared memory: the next row is under way while one is used.
/// Bytes: 2 n sizeof(float).
__global__ void mirror_sums(GlobalPointer<float> y, GlobalPointer<const float> x, int tiles) {
  SERENADE_DYNAMIC_SHARED(float, buffers);
  const int thread = static_cast<int>(threadIdx.x), n = 4 * static_cast<int>(blockDim.x);
  copy_async<16>(buffers + 4 * thread, x + 4 * thread);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    const SharedPointer<float> current = buffers + tile % 2 * n;
    const SharedPointer<float> next = buffers + (tile + 1) % 2 * n;
    const bool more = tile + 1 < tiles;
    copy_async<16>(next + 4 * thread, x + (more ? tile + 1 : tile) * n + 4 * thread, more);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const float4 here = load_vector<float4>(current + 4 * thread);
    const float4 there = load_vector<float4>(current + n - 4 - 4 * thread);
    store_vector(y + tile * n + 4 * thread, make_float4(here.x + there.w, here.y + there.z,
                                                        here.z + there.y, here.w + there.x));
    __syncthreads();
  }
  wait_for_copies<0>();
}

/// D [16, 8] = A [16, depth] B [depth, 8] on the tensor cores, by one warp; depth a multiple of 8.
__global__ void tensor_product(GlobalPointer<float> D, GlobalPointer<const float> A,
                               GlobalPointer<const float> B, int depth) {
  SERENADE_SHARED(float, a_tile, [16][12]);  // rows of 12: a fragment's 32 words in 32 banks
  SERENADE_SHARED(float, b_tile, [8][8]);
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, member = lane % 4;
  float d[4] = {};
  for (int k = 0; k < depth; k += 8) {
    copy_async<16>(&a_tile[lane / 2][lane % 2 * 4], A + lane / 2 * depth + k + lane % 2 * 4);
    if (lane < 16) copy_async<16>(&b_tile[lane / 2][lane % 2 * 4], B + k * 8 + lane * 4);
    commit_copies();
    wait_for_copies<0>();
    __syncwarp();
    const std::uint32_t a[4] = {to_tf32(a_tile[group][member]), to_tf32(a_tile[group + 8][member]),
                                to_tf32(a_tile[group][member + 4]),
                                to_tf32(a_tile[group + 8][member + 4])};
    const std::uint32_t b[2] = {to_tf32(b_tile[member][group]), to_tf32(b_tile[member + 4][group])};
    mma_m16n8k8(d, a, b);
    __syncwarp();
  }
  for (int i = 0; i < 4; ++i) D[(group + i / 2 * 8) * 8 + 2 * member + i % 2] = d[i];
}

/// counts[v] += number of i with x[i] == v, v in 0..15. Each block counts for itself first.
__global__ void histogram(GlobalPointer<int> counts, GlobalPointer<const int> x, int n) {
  SERENADE_SHARED(int, local, [16]);
  if (threadIdx.x < 16) local[threadIdx.x] = 0;
  __syncthreads();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) atomicAdd(&local[__ldg(&x[i])], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], local[threadIdx.x]);
}

}  // namespace serenade::cuda
