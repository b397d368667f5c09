// Softmax and its logarithm on the device.
//
// The ladder, by where an axis lies and how long it is:
//   columns     one thread per column, three passes that read like the formula; for inner > 1,
//               where neighbouring threads have neighbouring columns
//   rows        inner = 1: a group of up to 32 lanes per row, so that neighbouring lanes read
//               consecutive values; two exchanges of values take the place of shared memory
//   long_rows   inner = 1 and more than 1024 values: a block per row
// All three run the same passes (struct Passes); they differ in which elements a thread has, and in
// whom it adds up with. Bytes per element from memory: 8 forward, 16 backward; the second and third
// look at a row find it in the caches.

#include "kernels/elementwise/softmax.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

constexpr std::int64_t kLongRow = 1024;

/// The elements of one row or column that a thread has: begin, begin + step, ... below end.
struct Part {
  std::int64_t begin, end, step;
};

// The passes. Gather(value, op) hands back op over all threads of the row or column.

struct Softmax {
  template <class Gather>
  __device__ static void run(AliasedPointer<real> y, AliasedPointer<const real> x, Part part,
                             const Gather& gather) {
    real largest = -HUGE_VALF, total = 0;
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      largest = Larger{}(largest, x[i]);
    }
    largest = gather(largest, Larger{});
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real v = x[i], e = exp(v - largest);
      y[i] = e;
      total += e;
    }
    const real scale = 1 / gather(total, Plus{});
    for (std::int64_t i = part.begin; i < part.end; i += part.step) y[i] *= scale;
  }
};

struct LogSoftmax {
  template <class Gather>
  __device__ static void run(AliasedPointer<real> y, AliasedPointer<const real> x, Part part,
                             const Gather& gather) {
    real largest = -HUGE_VALF, total = 0;
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      largest = Larger{}(largest, x[i]);
    }
    largest = gather(largest, Larger{});
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real v = x[i];
      total += exp(v - largest);
    }
    const real log_total = log(gather(total, Plus{}));
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real v = x[i];
      y[i] = v - largest - log_total;
    }
  }
};

struct SoftmaxBackward {
  template <class Gather>
  __device__ static void run(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                             GlobalPointer<const real> y, Part part, const Gather& gather) {
    real dot = 0;
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real d = dy[i], v = y[i];
      dot += d * v;
    }
    dot = gather(dot, Plus{});
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real d = dy[i], v = y[i];
      dx[i] += v * (d - dot);
    }
  }
};

struct LogSoftmaxBackward {
  template <class Gather>
  __device__ static void run(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                             GlobalPointer<const real> y, Part part, const Gather& gather) {
    real total = 0;
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real d = dy[i];
      total += d;
    }
    total = gather(total, Plus{});
    for (std::int64_t i = part.begin; i < part.end; i += part.step) {
      const real d = dy[i], v = y[i];
      dx[i] += d - exp(v) * total;
    }
  }
};

// The threads of one row or column.

struct Alone {
  template <class Op>
  __device__ real operator()(real value, Op) const {
    return value;
  }
};
struct Lanes {
  int lanes;
  template <class Op>
  __device__ real operator()(real value, Op op) const {
    return warp_reduce(value, lanes, op);
  }
};
struct Block {
  SharedPointer<real> scratch;
  template <class Op>
  __device__ real operator()(real value, Op op) const {
    return block_reduce(value, scratch, op);
  }
};

/// One thread per column. Pointers: those of Passes::run.
template <class Passes, class... Pointers>
__global__ void __launch_bounds__(kLoopThreads)
    columns_of(std::int64_t axis, std::int64_t inner, std::int64_t columns, Pointers... pointers) {
  for (std::int64_t i = loop_begin(); i < columns; i += grid_stride()) {
    const std::int64_t outer = i / inner, start = outer * axis * inner + (i - outer * inner);
    Passes::run(pointers..., Part{start, start + axis * inner, inner}, Alone{});
  }
}

/// One row per group of `lanes` lanes.
template <class Passes, class... Pointers>
__global__ void __launch_bounds__(kLoopThreads)
    rows_of(std::int64_t axis, std::int64_t rows, int lanes, Pointers... pointers) {
  const int per_block = kLoopThreads / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * per_block; first < rows;
       first += static_cast<std::int64_t>(gridDim.x) * per_block) {
    const std::int64_t row = first + threadIdx.x / static_cast<unsigned>(lanes);
    // Groups without a row take part in the exchanges, with no elements.
    const std::int64_t start = row * axis, end = row < rows ? start + axis : start;
    Passes::run(pointers..., Part{start + lane, end, lanes}, Lanes{lanes});
  }
}

/// One row per block.
template <class Passes, class... Pointers>
__global__ void __launch_bounds__(kLoopThreads)
    long_rows_of(std::int64_t axis, Pointers... pointers) {
  SERENADE_SHARED(real, scratch, [32]);
  const std::int64_t start = blockIdx.x * axis;
  Passes::run(pointers..., Part{start + threadIdx.x, start + axis, kLoopThreads},
              Block{SharedPointer<real>(scratch)});
}

template <class Passes, class... Pointers>
void launch_softmax(std::int64_t outer, std::int64_t axis, std::int64_t inner,
                    Pointers... pointers) {
  const std::int64_t columns = outer * inner;
  if (columns * axis == 0) return;
  const dim3 block(kLoopThreads);
  if (inner > 1) {
    SERENADE_LAUNCH((columns_of<Passes, Pointers...>), loop_grid(columns), block, 0,
                    current_stream(), axis, inner, columns, pointers...);
  } else if (axis <= kLongRow) {
    const int lanes = power_of_two_for(axis, 32);
    SERENADE_LAUNCH((rows_of<Passes, Pointers...>), loop_grid(columns * lanes), block, 0,
                    current_stream(), axis, columns, lanes, pointers...);
  } else {
    SERENADE_LAUNCH((long_rows_of<Passes, Pointers...>), dim3(static_cast<unsigned>(columns)),
                    block, 0, current_stream(), axis, pointers...);
  }
}

using Result = AliasedPointer<real>;
using Argument = AliasedPointer<const real>;

}  // namespace

void softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                     std::int64_t inner) {
  launch_softmax<Softmax>(outer, axis, inner, Result(y), Argument(x));
}

void softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                      std::int64_t axis, std::int64_t inner) {
  launch_softmax<SoftmaxBackward>(outer, axis, inner, Result(dx), Argument(dy), Argument(y));
}

void log_softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                         std::int64_t inner) {
  launch_softmax<LogSoftmax>(outer, axis, inner, Result(y), Argument(x));
}

void log_softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                          std::int64_t axis, std::int64_t inner) {
  launch_softmax<LogSoftmaxBackward>(outer, axis, inner, Result(dx), Argument(dy), Argument(y));
}

}  // namespace serenade::cuda
