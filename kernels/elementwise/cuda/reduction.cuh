#pragma once
// Sums over the repetitions of an operand: the gradient of broadcasting, and reductions along an
// axis.
//
//   finish(element, sum over all repetitions of term(dy, b))    for every element of operand a
//
// Two ways, by where the terms of one element lie:
//   rows     the last axis is summed over: neighbouring terms, so neighbouring lanes of a warp add
//            up one element
//   columns  the last axis is kept: neighbouring elements, one per thread, and the rows of a block
//            share the terms
// Where elements alone would not fill the device, their terms are cut into chunks, and a second
// kernel adds up the chunks of each. Chunks and order follow from the sizes alone, so the same sum
// has the same bits on every device. Terms are formed in `real` and added in double, of which an
// H200 adds half as many as floats, still 30 for every float it reads.
//
// Bytes: dy once, and b as often as caches do not help.

#include "kernels/elementwise/elementwise.h"
#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {

inline constexpr int kSumThreads = 256;

/// The axes of a broadcast apart: those that operand a moves along, and those summed over. step_x:
/// of dy, step_y: of b.
struct Repetitions {
  Axes kept, summed;
  std::int64_t chunk = 0;   // terms (or Vec4s of them) that are added up together
  std::int64_t chunks = 1;  // per element of a
  bool last_is_summed = false;
  bool b_moves = false;  // along the last axis

  explicit Repetitions(const Broadcast& s) {
    std::int64_t step[kMaxDims], next = 1;
    for (int axis = s.dims - 1; axis >= 0; --axis) {
      step[axis] = next;
      next *= s.shape[axis];
    }
    for (int axis = 0; axis < s.dims; ++axis) {
      Axes& axes = s.stride_a[axis] != 0 ? kept : summed;
      axes.append(s.shape[axis], step[axis], s.stride_b[axis]);
    }
    last_is_summed = s.stride_a[s.dims - 1] == 0;
    b_moves = s.stride_b[s.dims - 1] != 0;
  }

  /// Into at most `most` chunks of at least `least` terms.
  void cut(std::int64_t least, std::int64_t most) {
    chunks = std::max<std::int64_t>(1, std::min(summed.count / least, most));
    chunk = (summed.count + chunks - 1) / chunks;
    chunks = (summed.count + chunk - 1) / chunk;
  }

  __device__ __forceinline__ std::int64_t end_of(std::int64_t begin) const {
    return begin + chunk < summed.count ? begin + chunk : summed.count;
  }
};

/// Hands a sum on: to `finish` where it is complete, else to partials [elements, chunks].
template <class Finish>
__device__ __forceinline__ void keep_sum(GlobalPointer<double> partials, const Repetitions& r,
                                         std::int64_t element, std::int64_t chunk, double sum,
                                         const Finish& finish) {
  if (r.chunks == 1) {
    finish(element, sum);
  } else {
    partials[element * r.chunks + chunk] = sum;
  }
}

/// One element and chunk per group of `lanes` lanes; `width` (1 or 4) neighbouring terms at once.
template <int width, class Term, class Finish>
__global__ void __launch_bounds__(kSumThreads)
    sum_rows(GlobalPointer<double> partials, GlobalPointer<const real> dy,
             GlobalPointer<const real> b, Repetitions r, int lanes, Term term, Finish finish) {
  const std::int64_t items = r.kept.count * r.chunks;
  const int per_block = kSumThreads / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * per_block; first < items;
       first += static_cast<std::int64_t>(gridDim.x) * per_block) {
    const std::int64_t item = first + threadIdx.x / static_cast<unsigned>(lanes);
    const std::int64_t element = item / r.chunks, chunk = item - element * r.chunks;
    double sum = 0;
    if (item < items) {
      std::int64_t kept_y = 0, kept_b = 0;
      r.kept.add_offsets(element, kept_y, kept_b);
      const std::int64_t end = r.end_of(chunk * r.chunk);
      for (std::int64_t i = chunk * r.chunk + lane; i < end; i += lanes) {
        std::int64_t at_y = kept_y, at_b = kept_b;
        r.summed.add_offsets(i, at_y, at_b);
        if constexpr (width == 4) {
          const Vec4 d = load_vector<Vec4>(dy + at_y), v = load_vec4(b + at_b, r.b_moves);
          for (int k = 0; k < 4; ++k) sum += static_cast<double>(term(d.value[k], v.value[k]));
        } else {
          const real d = dy[at_y], v = b[at_b];
          sum += static_cast<double>(term(d, v));
        }
      }
    }
    sum = warp_reduce(sum, lanes, Plus{});
    if (item < items && lane == 0) keep_sum(partials, r, element, chunk, sum, finish);
  }
}

/// One element per column of a block, which has kSumThreads / columns rows. Blocks: chunks times
/// groups of columns. Shared memory: 2 KB.
template <class Term, class Finish>
__global__ void __launch_bounds__(kSumThreads)
    sum_columns(GlobalPointer<double> partials, GlobalPointer<const real> dy,
                GlobalPointer<const real> b, Repetitions r, int columns, Term term, Finish finish) {
  SERENADE_SHARED(double, sums, [kSumThreads]);
  const int thread = static_cast<int>(threadIdx.x), rows = kSumThreads / columns;
  const int column = thread % columns, row = thread / columns;
  const std::int64_t groups = (r.kept.count + columns - 1) / columns;
  const std::int64_t chunk = blockIdx.x / groups;
  const std::int64_t element = (blockIdx.x - chunk * groups) * columns + column;
  double sum = 0;
  if (element < r.kept.count) {
    std::int64_t kept_y = 0, kept_b = 0;
    r.kept.add_offsets(element, kept_y, kept_b);
    const std::int64_t end = r.end_of(chunk * r.chunk);
    for (std::int64_t i = chunk * r.chunk + row; i < end; i += rows) {
      std::int64_t at_y = kept_y, at_b = kept_b;
      r.summed.add_offsets(i, at_y, at_b);
      const real d = dy[at_y], v = b[at_b];
      sum += static_cast<double>(term(d, v));
    }
  }
  if (rows > 1) {
    sums[thread] = sum;
    for (int half = rows / 2; half > 0; half /= 2) {
      __syncthreads();
      if (row < half) {
        sum += sums[thread + half * columns];
        sums[thread] = sum;
      }
    }
  }
  if (row == 0 && element < r.kept.count) keep_sum(partials, r, element, chunk, sum, finish);
}

/// The second stage: one element per block.
template <class Finish>
__global__ void __launch_bounds__(kSumThreads)
    sum_chunks(GlobalPointer<const double> partials, std::int64_t chunks, Finish finish) {
  SERENADE_SHARED(double, scratch, [32]);
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < chunks; i += kSumThreads) {
    const double partial = partials[blockIdx.x * chunks + i];
    sum += partial;
  }
  sum = block_reduce(sum, SharedPointer<double>(scratch), Plus{});
  if (threadIdx.x == 0) finish(blockIdx.x, sum);
}

template <class Term, class Finish>
void launch_sum_rows(const real* dy, const real* b, const Broadcast& s, Repetitions r, Term term,
                     Finish finish) {
  const bool wide = s.shape[s.dims - 1] % 4 == 0 && is_vec4_aligned(dy) &&
                    rows_are_vec4_aligned(b, s.stride_b, s.dims);
  if (wide) r.summed.group_by_four();
  constexpr std::int64_t kWarps = 8192;  // about 64 for each multiprocessor of the largest devices
  r.cut(256, kWarps / r.kept.count);
  const DeviceArray<double> partials(r.chunks > 1 ? r.kept.count * r.chunks : 0);
  const int lanes = power_of_two_for(r.chunk, 32);
  const dim3 grid = loop_grid(r.kept.count * r.chunks * lanes);
  if (wide) {
    SERENADE_LAUNCH((sum_rows<4, Term, Finish>), grid, dim3(kSumThreads), 0, current_stream(),
                    partials.data(), dy, b, r, lanes, term, finish);
  } else {
    SERENADE_LAUNCH((sum_rows<1, Term, Finish>), grid, dim3(kSumThreads), 0, current_stream(),
                    partials.data(), dy, b, r, lanes, term, finish);
  }
  if (r.chunks > 1) {
    SERENADE_LAUNCH(sum_chunks<Finish>, dim3(static_cast<unsigned>(r.kept.count)),
                    dim3(kSumThreads), 0, current_stream(), partials.data(), r.chunks, finish);
  }
}

template <class Term, class Finish>
void launch_sum_columns(const real* dy, const real* b, Repetitions r, Term term, Finish finish) {
  int columns = kSumThreads / power_of_two_for(r.summed.count, 8);
  columns = power_of_two_for(r.kept.count, columns);
  const std::int64_t groups = (r.kept.count + columns - 1) / columns;
  constexpr std::int64_t kBlocks = 1024;  // about 8 for each multiprocessor of the largest devices
  r.cut(8 * kSumThreads / columns, kBlocks / groups);
  const DeviceArray<double> partials(r.chunks > 1 ? r.kept.count * r.chunks : 0);
  SERENADE_LAUNCH((sum_columns<Term, Finish>), dim3(static_cast<unsigned>(groups * r.chunks)),
                  dim3(kSumThreads), 0, current_stream(), partials.data(), dy, b, r, columns, term,
                  finish);
  if (r.chunks > 1) {
    SERENADE_LAUNCH(sum_chunks<Finish>, dim3(static_cast<unsigned>(r.kept.count)),
                    dim3(kSumThreads), 0, current_stream(), partials.data(), r.chunks, finish);
  }
}

/// Calls finish(element of a, sum of term(dy, b) over its repetitions) for every element.
template <class Term, class Finish>
void sum_repetitions(const real* dy, const real* b, const Broadcast& s, Term term, Finish finish) {
  if (s.count() == 0) return;
  const Repetitions r(s);
  if (r.last_is_summed) {
    launch_sum_rows(dy, b, s, r, term, finish);
  } else {
    launch_sum_columns(dy, b, r, term, finish);
  }
}

}  // namespace serenade::cuda
