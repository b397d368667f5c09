// Reductions along one axis of [outer, axis, inner] on the device.
//
// A sum is the gradient of repeating, so its kernels are those of reduction.cuh. The maximum comes
// in two ways: where inner is 1, neighbouring lanes (a whole block if the axis is long) look
// through one row together; else neighbouring threads look through columns beside each other. Bytes
// per element of x: 4 forward, 8 to 12 backward.

#include "kernels/elementwise/reduce.h"

#include "kernels/elementwise/cuda/reduction.cuh"

namespace serenade::cuda {
namespace {

// Sum ---------------------------------------------------------------------------------------------

struct Term {
  __device__ real operator()(real x, real) const { return x; }
};

struct StoreTotal {
  AliasedPointer<real> y;
  real factor;
  __device__ void operator()(std::int64_t i, double total) const {
    y[i] = factor * static_cast<real>(total);
  }
};

__global__ void __launch_bounds__(kLoopThreads)
    repeat(GlobalPointer<real> dx, GlobalPointer<const real> dy, real factor, std::int64_t axis,
           std::int64_t inner, std::int64_t count) {
  for (std::int64_t i = loop_begin(); i < count; i += grid_stride()) {
    const std::int64_t row = i / inner, outer = row / axis;
    const real d = dy[outer * inner + (i - row * inner)];
    dx[i] += factor * d;
  }
}

// Maximum -----------------------------------------------------------------------------------------

constexpr int kBlockRow = 1024;  // rows longer than this have a block each

/// One thread per column.
__global__ void __launch_bounds__(kLoopThreads)
    max_columns(GlobalPointer<real> y, GlobalPointer<const real> x, std::int64_t axis,
                std::int64_t inner, std::int64_t columns) {
  for (std::int64_t i = loop_begin(); i < columns; i += grid_stride()) {
    const std::int64_t outer = i / inner, start = outer * axis * inner + (i - outer * inner);
    real best = x[start];
    for (std::int64_t k = 1; k < axis; ++k) best = LargerOrNan{}(best, x[start + k * inner]);
    y[i] = best;
  }
}

/// One row per group of `lanes` lanes, the size of a group at most a warp.
__global__ void __launch_bounds__(kLoopThreads)
    max_rows(GlobalPointer<real> y, GlobalPointer<const real> x, std::int64_t axis,
             std::int64_t rows, int lanes) {
  const int per_block = kLoopThreads / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * per_block; first < rows;
       first += static_cast<std::int64_t>(gridDim.x) * per_block) {
    const std::int64_t row = first + threadIdx.x / static_cast<unsigned>(lanes);
    real best = -HUGE_VALF;
    if (row < rows) {
      for (std::int64_t k = lane; k < axis; k += lanes) {
        best = LargerOrNan{}(best, x[row * axis + k]);
      }
    }
    best = warp_reduce(best, lanes, LargerOrNan{});
    if (row < rows && lane == 0) y[row] = best;
  }
}

/// One row per block.
__global__ void __launch_bounds__(kBlockRow)
    max_long_rows(GlobalPointer<real> y, GlobalPointer<const real> x, std::int64_t axis) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t start = blockIdx.x * axis;
  real best = -HUGE_VALF;
  for (std::int64_t k = threadIdx.x; k < axis; k += kBlockRow) {
    best = LargerOrNan{}(best, x[start + k]);
  }
  best = block_reduce(best, SharedPointer<real>(scratch), LargerOrNan{});
  if (threadIdx.x == 0) y[blockIdx.x] = best;
}

/// Whether an element is the one that was found: NaN is where there is one.
__device__ bool is_maximum(real x, real best) { return x == best || (x != x && best != best); }

__global__ void __launch_bounds__(kLoopThreads)
    max_columns_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                         GlobalPointer<const real> x, GlobalPointer<const real> y,
                         std::int64_t axis, std::int64_t inner, std::int64_t columns) {
  for (std::int64_t i = loop_begin(); i < columns; i += grid_stride()) {
    const std::int64_t outer = i / inner, start = outer * axis * inner + (i - outer * inner);
    const real best = y[i], d = dy[i];
    std::int64_t k = 0;
    while (k < axis && !is_maximum(x[start + k * inner], best)) ++k;
    if (k < axis) dx[start + k * inner] += d;
  }
}

/// One row per block of any number of warps: which of the elements that equal the maximum is first?
__global__ void __launch_bounds__(kBlockRow)
    max_rows_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                      GlobalPointer<const real> x, GlobalPointer<const real> y, std::int64_t axis) {
  SERENADE_SHARED(std::int64_t, scratch, [32]);
  const std::int64_t start = blockIdx.x * axis;
  const real best = y[blockIdx.x];
  std::int64_t first = axis;
  for (std::int64_t k = threadIdx.x; k < axis && first == axis; k += blockDim.x) {
    if (is_maximum(x[start + k], best)) first = k;
  }
  first = block_reduce(first, SharedPointer<std::int64_t>(scratch), Smaller{});
  if (threadIdx.x == 0 && first < axis) {
    const real d = dy[blockIdx.x];
    dx[start + first] += d;
  }
}

// Running sums ------------------------------------------------------------------------------------

/// One thread per column, in double; `backward`: from the end, added to what `to` holds.
__global__ void __launch_bounds__(kLoopThreads)
    running_sums(GlobalPointer<real> to, GlobalPointer<const real> from, std::int64_t axis,
                 std::int64_t inner, std::int64_t columns, bool backward) {
  for (std::int64_t i = loop_begin(); i < columns; i += grid_stride()) {
    const std::int64_t outer = i / inner, start = outer * axis * inner + (i - outer * inner);
    double total = 0;
    for (std::int64_t k = 0; k < axis; ++k) {
      const std::int64_t at = start + (backward ? axis - 1 - k : k) * inner;
      const real term = from[at];
      total += static_cast<double>(term);
      if (backward) {
        to[at] += static_cast<real>(total);
      } else {
        to[at] = static_cast<real>(total);
      }
    }
  }
}

void launch_running_sums(real* to, const real* from, std::int64_t outer, std::int64_t axis,
                         std::int64_t inner, bool backward) {
  const std::int64_t columns = outer * inner;
  if (columns == 0) return;
  SERENADE_LAUNCH(running_sums, loop_grid(columns), dim3(kLoopThreads), 0, current_stream(), to,
                  from, axis, inner, columns, backward);
}

}  // namespace

void sum_forward(real* y, const real* x, real factor, std::int64_t outer, std::int64_t axis,
                 std::int64_t inner) {
  if (axis == 0) clear(y, static_cast<std::size_t>(outer * inner) * sizeof(real));
  Broadcast repeated;
  repeated.dims = inner == 1 ? 2 : 3;
  const std::int64_t shape[] = {outer, axis, inner}, strides[] = {inner, 0, 1};
  for (int k = 0; k < repeated.dims; ++k) {
    repeated.shape[k] = shape[k];
    repeated.stride_a[k] = strides[k];
    repeated.stride_b[k] = 0;  // there is no second factor; x stands in and is not used
  }
  sum_repetitions(x, x, repeated, Term{}, StoreTotal{y, factor});
}

void sum_backward(real* dx, const real* dy, real factor, std::int64_t outer, std::int64_t axis,
                  std::int64_t inner) {
  const std::int64_t count = outer * axis * inner;
  if (count == 0) return;
  SERENADE_LAUNCH(repeat, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), dx, dy, factor,
                  axis, inner, count);
}

void max_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                 std::int64_t inner) {
  const std::int64_t columns = outer * inner;
  if (columns == 0) return;
  if (inner > 1) {
    SERENADE_LAUNCH(max_columns, loop_grid(columns), dim3(kLoopThreads), 0, current_stream(), y, x,
                    axis, inner, columns);
  } else if (axis <= kBlockRow) {
    const int lanes = power_of_two_for(axis, 32);
    SERENADE_LAUNCH(max_rows, loop_grid(columns * lanes), dim3(kLoopThreads), 0, current_stream(),
                    y, x, axis, columns, lanes);
  } else {
    SERENADE_LAUNCH(max_long_rows, dim3(static_cast<unsigned>(columns)), dim3(kBlockRow), 0,
                    current_stream(), y, x, axis);
  }
}

void max_backward(real* dx, const real* dy, const real* x, const real* y, std::int64_t outer,
                  std::int64_t axis, std::int64_t inner) {
  const std::int64_t columns = outer * inner;
  if (columns == 0) return;
  if (inner > 1 || axis < 32) {
    SERENADE_LAUNCH(max_columns_backward, loop_grid(columns), dim3(kLoopThreads), 0,
                    current_stream(), dx, dy, x, y, axis, inner, columns);
  } else {
    const int threads = power_of_two_for(axis, kBlockRow);
    SERENADE_LAUNCH(max_rows_backward, dim3(static_cast<unsigned>(columns)),
                    dim3(static_cast<unsigned>(threads)), 0, current_stream(), dx, dy, x, y, axis);
  }
}

void cumsum_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                    std::int64_t inner) {
  launch_running_sums(y, x, outer, axis, inner, false);
}

void cumsum_backward(real* dx, const real* dy, std::int64_t outer, std::int64_t axis,
                     std::int64_t inner) {
  launch_running_sums(dx, dy, outer, axis, inner, true);
}

}  // namespace serenade::cuda
