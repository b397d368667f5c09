#pragma once
// What the recurrences with weights in registers (v1, v2) share. Rows of W_hh are padded with zeros
// to Width, which is 32, 64 or 128. `Parts` neighbouring threads share a row: part p has
// every Parts-th group of 16 bytes, so that the parts read different banks at once.

#include "kernels/gru/cuda/recurrence.cuh"

namespace serenade::cuda {

inline constexpr int kGroup = static_cast<int>(16 / sizeof(real));

struct alignas(16) GruGroup {
  real v[kGroup];
};

/// Which part of the work a thread has, and the weights it does it with. A warp has one gate only.
///
/// 3 x 128 rows of 128 would fill three quarters of all registers of a multiprocessor, and the rest
/// would not do. There the last 64 bytes of a row are kept in shared memory, 24 KB in all.
template <int Width, int Parts>
struct GruThread {
  static constexpr int kThreads = 3 * Width * Parts;
  static constexpr int kShared = Width < 128 ? 0 : static_cast<int>(64 / sizeof(real));
  static constexpr int kWeights = Width / Parts - kShared;  ///< in registers
  static constexpr int kTail = kShared == 0 ? 1 : kShared * kThreads;
  int gate, unit, part;
  bool real_unit;  ///< or one of the padding

  __device__ __forceinline__ explicit GruThread(int hidden) {
    const int row = static_cast<int>(threadIdx.x) / Parts;
    gate = row / Width;
    unit = row % Width;
    part = static_cast<int>(threadIdx.x) % Parts;
    real_unit = unit < hidden;
  }

  /// The index of its i-th weight in the row.
  __device__ __forceinline__ int index_in_row(int i) const {
    return (i / kGroup * Parts + part) * kGroup + i % kGroup;
  }

  /// Fetches the weights: weight(j) for element j < hidden of the row. tail: [kTail], shared
  /// memory; a thread only reads what it put there itself.
  template <class F>
  __device__ __forceinline__ void fetch(real (&weights)[kWeights], SharedPointer<real> tail,
                                        int hidden, F weight) const {
    const auto fetch_one = [&](int i) {
      return real_unit && index_in_row(i) < hidden ? weight(index_in_row(i)) : real(0);
    };
    SERENADE_UNROLL for (int i = 0; i < kWeights; ++i) weights[i] = fetch_one(i);
    SERENADE_UNROLL for (int i = 0; i < kShared; ++i) {
      tail[tail_group(i) + i % kGroup] = fetch_one(kWeights + i);
    }
  }

  /// The product of the whole row with x [Width] in shared memory; all parts get it. Called by
  /// whole warps.
  __device__ __forceinline__ real dot(const real (&weights)[kWeights], SharedPointer<real> tail,
                                      SharedPointer<real> x) const {
    real sums[kGroup] = {};
    SERENADE_UNROLL for (int i = 0; i < kWeights; i += kGroup) {
      const auto group = load_vector<GruGroup>(x + index_in_row(i));
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) sums[e] += weights[i + e] * group.v[e];
    }
    SERENADE_UNROLL for (int i = 0; i < kShared; i += kGroup) {
      const auto group = load_vector<GruGroup>(x + index_in_row(kWeights + i));
      const auto own = load_vector<GruGroup>(tail + tail_group(i));
      SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) sums[e] += own.v[e] * group.v[e];
    }
    real sum = 0;
    SERENADE_UNROLL for (int e = 0; e < kGroup; ++e) sum += sums[e];
    SERENADE_UNROLL for (int lane = 1; lane < Parts; lane *= 2) {
      sum += __shfl_xor_sync(0xFFFFFFFFu, sum, lane);
    }
    return sum;
  }

 private:
  /// Neighbouring threads' groups adjoin: no bank conflicts.
  static __device__ __forceinline__ int tail_group(int i) {
    return (i / kGroup * kThreads + static_cast<int>(threadIdx.x)) * kGroup;
  }
};

}  // namespace serenade::cuda
