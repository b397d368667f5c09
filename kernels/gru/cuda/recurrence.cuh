#pragma once
// What the recurrences of all versions share: their arguments, and how a block walks through its
// sequence. Grid: (N, K); block (b, k) has sequence b in direction k.

#include "kernels/gru/cuda/versions.h"
#include "kernels/runtime/cuda/device_code.h"

namespace serenade::cuda {

/// Of one direction; a bias may be null: zeros.
struct GruWeights {
  GlobalPointer<const real> weight_hh, bias_ih, bias_hh;
};

/// All below 2^31, offsets are not.
struct GruDimensions {
  int batch, steps, hidden, directions;
  bool reset_after;
  bool whole_rows;  ///< rows of W_hh may be read 16 bytes at a time
};

/// saved: the input projection in r, z, n at first, everything afterwards. lengths, h0: may be
/// null.
struct GruForwardArrays {
  GlobalPointer<real> y, saved;
  GlobalPointer<const real> h0;
  GlobalPointer<const std::int64_t> lengths;
};

/// What the reverse walk writes for the products over all steps; zero at and beyond the lengths.
struct GruBackwardArrays {
  GlobalPointer<real> d_input;  ///< [K, N, T, 3 H]: D(a_r), D(a_z), D(a_n); see cpu/definition.cpp
  GlobalPointer<real> d_recurrent;  ///< [K, N, T, 3 H]: D(a_r), D(a_z), D(m); reset after only
  GlobalPointer<real> previous;     ///< [K, N, T, H]: the state that each step started from
  /// [K, N, 4, H], over all steps: D(a_r), D(a_z), D(a_n), and what b_hh gets for the candidate:
  /// D(m), or D(a_n) with reset before.
  GlobalPointer<real> bias_sums;
  GlobalPointer<real> dh0;  ///< added to; may be null
  GlobalPointer<const real> dy, y, saved, h0;
  GlobalPointer<const std::int64_t> lengths;
};

/// Where the block's sequence lies. Step i is the i-th that is read, at time t.
struct GruWalk {
  int sequence, direction, length;
  GruDimensions s;

  __device__ __forceinline__ GruWalk(GlobalPointer<const std::int64_t> lengths,
                                     const GruDimensions& sizes)
      : sequence(static_cast<int>(blockIdx.x)),
        direction(static_cast<int>(blockIdx.y)),
        length(sizes.steps),
        s(sizes) {
    if (lengths != nullptr) {
      const std::int64_t own = lengths[sequence];
      length = static_cast<int>(own);
    }
  }

  __device__ __forceinline__ int time(int i) const { return direction == 0 ? i : length - 1 - i; }

  /// Of [K, N]: in units of one sequence's elements.
  __device__ __forceinline__ std::int64_t row() const {
    return std::int64_t{direction} * s.batch + sequence;
  }
  /// Of [K, N, T].
  __device__ __forceinline__ std::int64_t step(int t) const { return row() * s.steps + t; }
  /// Of y [N, T, K, H].
  __device__ __forceinline__ std::int64_t output(int t) const {
    return ((std::int64_t{sequence} * s.steps + t) * s.directions + direction) * s.hidden;
  }
  /// The state of a unit before step i.
  __device__ __forceinline__ real state_before(int i, int unit, GlobalPointer<const real> y,
                                               GlobalPointer<const real> h0) const {
    if (i > 0) return y[output(time(i - 1)) + unit];
    if (h0 != nullptr) return h0[row() * s.hidden + unit];
    return 0;
  }

  /// Zeros, by all threads of the block, in [K, N, T, width] at and beyond the length.
  __device__ __forceinline__ void clear_padding(GlobalPointer<real> x, int width) const {
    const std::int64_t end = step(s.steps) * width;
    for (std::int64_t i = step(length) * width + threadIdx.x; i < end; i += blockDim.x) x[i] = 0;
  }
  __device__ __forceinline__ void clear_padded_output(GlobalPointer<real> y) const {
    for (int t = length; t < s.steps; ++t) {
      for (int unit = static_cast<int>(threadIdx.x); unit < s.hidden;
           unit += static_cast<int>(blockDim.x)) {
        y[output(t) + unit] = 0;
      }
    }
  }
};

__device__ __forceinline__ real logistic(real x) { return 1 / (1 + exp(-x)); }

__device__ __forceinline__ real value_or_zero(GlobalPointer<const real> x, std::int64_t i) {
  if (x == nullptr) return 0;
  return x[i];
}

// On the host: the recurrences. second: null pointers where there is one direction.
void recurrence_forward_v0_plain(const GruForwardArrays& arrays, const GruWeights& first,
                                 const GruWeights& second, const GruDimensions& s);
void recurrence_backward_v0_plain(const GruBackwardArrays& arrays, const GruWeights& first,
                                  const GruWeights& second, const GruDimensions& s);
void recurrence_forward_v1_registers(const GruForwardArrays& arrays, const GruWeights& first,
                                     const GruWeights& second, const GruDimensions& s);
void recurrence_backward_v1_registers(const GruBackwardArrays& arrays, const GruWeights& first,
                                      const GruWeights& second, const GruDimensions& s);
void recurrence_forward_v2_split_rows(const GruForwardArrays& arrays, const GruWeights& first,
                                      const GruWeights& second, const GruDimensions& s);
void recurrence_backward_v2_split_rows(const GruBackwardArrays& arrays, const GruWeights& first,
                                       const GruWeights& second, const GruDimensions& s);
void recurrence_forward_v3_whole_units(const GruForwardArrays& arrays, const GruWeights& first,
                                       const GruWeights& second, const GruDimensions& s);
void recurrence_backward_v3_whole_units(const GruBackwardArrays& arrays, const GruWeights& first,
                                        const GruWeights& second, const GruDimensions& s);

}  // namespace serenade::cuda
