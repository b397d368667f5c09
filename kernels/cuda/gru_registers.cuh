#pragma once
// What the recurrences with weights in registers (v1, v2) share. Rows of W_hh are filled up with
// zeros to Width, which is 32, 64 or 128. `Parts` neighbouring threads share a row: part p has
// every Parts-th group of 16 bytes, so that the parts read different banks at once.

#include "kernels/cuda/gru_recurrence.cuh"

namespace serenade::cuda {

inline constexpr int kGroup = static_cast<int>(16 / sizeof(real));

struct alignas(16) GruGroup {
  real v[kGroup];
};

/// Which part of the work a thread has. A warp has one gate only.
template <int Width, int Parts>
struct GruThread {
  static constexpr int kThreads = 3 * Width * Parts;
  static constexpr int kWeights = Width / Parts;
  int gate, unit, part;
  bool real_unit;  ///< or one that only fills up Width

  __device__ __forceinline__ explicit GruThread(int hidden) {
    const int row = static_cast<int>(threadIdx.x) / Parts;
    gate = row / Width;
    unit = row % Width;
    part = static_cast<int>(threadIdx.x) % Parts;
    real_unit = unit < hidden;
  }

  /// Where its i-th weight stands in the row.
  __device__ __forceinline__ int place(int i) const {
    return (i / kGroup * Parts + part) * kGroup + i % kGroup;
  }

  /// The product of the whole row with x [Width] in shared memory; all parts get it. Called by
  /// whole warps.
  __device__ __forceinline__ real dot(const real (&weights)[kWeights],
                                      SharedPointer<real> x) const {
    real sums[kGroup] = {};
    SERENADE_UNROLL for (int i = 0; i < kWeights; i += kGroup) {
      const auto group = load_vector<GruGroup>(x + place(i));
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) sums[e] += weights[i + e] * group.v[e];
    }
    real sum = 0;
    SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) sum += sums[e];
    SERENADE_UNROLL for (int lane = 1; lane < Parts; lane *= 2) {
      sum += __shfl_xor_sync(0xFFFFFFFFu, sum, lane);
    }
    return sum;
  }
};

}  // namespace serenade::cuda
