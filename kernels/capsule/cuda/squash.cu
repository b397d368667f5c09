// Squash and capsule norms on the device (formulas and shapes: kernels/capsule/squash.h).
//
// A capsule belongs to a group of neighbouring lanes, one lane per element (at most 32): they read
// neighbouring addresses and add up by exchanging values. Bytes per element: squash 8 forward, 16
// backward; norms 4 forward, 12 backward. For each number some 40 instructions, in which the root
// and the division that all lanes of a capsule repeat count most: under the 60 for which the bytes
// leave time.

#include "kernels/capsule/squash.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

constexpr real kEpsilon = static_cast<real>(kSquashEpsilon);

/// The loop over capsules of a group of lanes. All lanes of a warp go round equally often; those of
/// groups without a capsule have no elements.
struct Capsules {
  std::int64_t count, size;
  int lanes;

  Capsules(std::int64_t capsules, std::int64_t capsule_size)
      : count(capsules), size(capsule_size), lanes(power_of_two_for(capsule_size, 32)) {}

  dim3 grid() const { return loop_grid(count * lanes); }

  __device__ __forceinline__ int lane() const { return static_cast<int>(threadIdx.x) % lanes; }
  /// Of the first group of this block.
  __device__ __forceinline__ std::int64_t begin() const {
    return static_cast<std::int64_t>(blockIdx.x) * (kLoopThreads / lanes);
  }
  __device__ __forceinline__ std::int64_t step() const {
    return static_cast<std::int64_t>(gridDim.x) * (kLoopThreads / lanes);
  }
  __device__ __forceinline__ std::int64_t own(std::int64_t first) const {
    return first + threadIdx.x / static_cast<unsigned>(lanes);
  }
  __device__ __forceinline__ std::int64_t size_of(std::int64_t capsule) const {
    return capsule < count ? size : 0;
  }
};

/// The sum of a[k] b[k] over one capsule, for each of its lanes.
__device__ __forceinline__ real dot(GlobalPointer<const real> a, GlobalPointer<const real> b,
                                    std::int64_t size, const Capsules& c) {
  real sum = 0;
  for (std::int64_t k = c.lane(); k < size; k += c.lanes) {
    const real u = a[k], v = b[k];
    sum += u * v;
  }
  return warp_reduce(sum, c.lanes, Plus{});
}

__global__ void __launch_bounds__(kLoopThreads)
    squash(GlobalPointer<real> v, GlobalPointer<const real> s, Capsules c) {
  for (std::int64_t first = c.begin(); first < c.count; first += c.step()) {
    const std::int64_t capsule = c.own(first), at = capsule * c.size, size = c.size_of(capsule);
    const real n2 = dot(s + at, s + at, size, c);
    const real f = n2 / ((1 + n2) * sqrt(n2 + kEpsilon));
    for (std::int64_t k = at + c.lane(); k < at + size; k += c.lanes) v[k] = f * s[k];
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    squash_gradient(GlobalPointer<real> ds, GlobalPointer<const real> dv,
                    GlobalPointer<const real> s, Capsules c) {
  for (std::int64_t first = c.begin(); first < c.count; first += c.step()) {
    const std::int64_t capsule = c.own(first), at = capsule * c.size, size = c.size_of(capsule);
    const real n2 = dot(s + at, s + at, size, c), padded = n2 + kEpsilon;
    const real g = 1 / ((1 + n2) * sqrt(padded));  // f = n2 g
    // f' = g (1 - n2 / (1 + n2) - n2 / (2 (n2 + eps))), written so that n2 = 0 divides nothing.
    const real slope = g * (1 / (1 + n2) - real(0.5) * n2 / padded);
    const real along = 2 * slope * dot(s + at, dv + at, size, c);
    for (std::int64_t k = at + c.lane(); k < at + size; k += c.lanes) {
      const real d = dv[k], v = s[k];
      ds[k] += n2 * g * d + along * v;
    }
  }
}

/// Rows of `values` capsule elements followed by the `capsules` norms of these capsules. With row =
/// capsule / capsules, a capsule begins at capsule * size + row * capsules, and its norm lies at
/// (row + 1) * values + capsule. Norms alone: values = 0.
struct NormRows {
  std::int64_t capsules, values;
};

/// The norms of capsules, and with `copies` the capsules themselves.
template <bool copies>
__global__ void __launch_bounds__(kLoopThreads)
    lengths_of(GlobalPointer<real> y, GlobalPointer<const real> v, Capsules c, NormRows rows) {
  for (std::int64_t first = c.begin(); first < c.count; first += c.step()) {
    const std::int64_t capsule = c.own(first), at = capsule * c.size, size = c.size_of(capsule);
    const std::int64_t row = copies ? capsule / rows.capsules : 0;
    const real n2 = dot(v + at, v + at, size, c);
    if (copies) {
      const std::int64_t target = at + row * rows.capsules;
      for (std::int64_t k = c.lane(); k < size; k += c.lanes) y[target + k] = v[at + k];
    }
    if (capsule < c.count && c.lane() == 0)
      y[(row + 1) * rows.values + capsule] = sqrt(n2 + kEpsilon);
  }
}

template <bool copies>
__global__ void __launch_bounds__(kLoopThreads)
    norms_gradient(GlobalPointer<real> dv, GlobalPointer<const real> dy,
                   GlobalPointer<const real> v, Capsules c, NormRows rows) {
  for (std::int64_t first = c.begin(); first < c.count; first += c.step()) {
    const std::int64_t capsule = c.own(first), at = capsule * c.size, size = c.size_of(capsule);
    const std::int64_t row = copies ? capsule / rows.capsules : 0;
    const real n2 = dot(v + at, v + at, size, c);
    if (size == 0) continue;
    const real dnorm = dy[(row + 1) * rows.values + capsule];
    const real factor = dnorm / sqrt(n2 + kEpsilon);
    const std::int64_t source = at + row * rows.capsules;
    for (std::int64_t k = c.lane(); k < size; k += c.lanes) {
      const real direct = copies ? real(dy[source + k]) : real(0), value = v[at + k];
      dv[at + k] += direct + factor * value;
    }
  }
}

}  // namespace

void squash_forward(real* v, const real* s, std::int64_t count, std::int64_t size) {
  if (count * size == 0) return;
  const Capsules capsules(count, size);
  SERENADE_LAUNCH(squash, capsules.grid(), dim3(kLoopThreads), 0, current_stream(), v, s, capsules);
}

void squash_backward(real* ds, const real* dv, const real* s, std::int64_t count,
                     std::int64_t size) {
  if (count * size == 0) return;
  const Capsules capsules(count, size);
  SERENADE_LAUNCH(squash_gradient, capsules.grid(), dim3(kLoopThreads), 0, current_stream(), ds, dv,
                  s, capsules);
}

void capsule_norm_forward(real* lengths, const real* v, std::int64_t count, std::int64_t size) {
  if (count == 0) return;
  const Capsules capsules(count, size);
  SERENADE_LAUNCH(lengths_of<false>, capsules.grid(), dim3(kLoopThreads), 0, current_stream(),
                  lengths, v, capsules, (NormRows{0, 0}));
}

void capsule_norm_backward(real* dv, const real* dnorms, const real* v, std::int64_t count,
                           std::int64_t size) {
  if (count * size == 0) return;
  const Capsules capsules(count, size);
  SERENADE_LAUNCH(norms_gradient<false>, capsules.grid(), dim3(kLoopThreads), 0, current_stream(),
                  dv, dnorms, v, capsules, (NormRows{0, 0}));
}

void append_norms_forward(real* y, const real* v, std::int64_t rows, std::int64_t capsules,
                          std::int64_t size) {
  if (rows * capsules == 0) return;
  const Capsules all(rows * capsules, size);
  SERENADE_LAUNCH(lengths_of<true>, all.grid(), dim3(kLoopThreads), 0, current_stream(), y, v, all,
                  (NormRows{capsules, capsules * size}));
}

void append_norms_backward(real* dv, const real* dy, const real* v, std::int64_t rows,
                           std::int64_t capsules, std::int64_t size) {
  if (rows * capsules * size == 0) return;
  const Capsules all(rows * capsules, size);
  SERENADE_LAUNCH(norms_gradient<true>, all.grid(), dim3(kLoopThreads), 0, current_stream(), dv, dy,
                  v, all, (NormRows{capsules, capsules * size}));
}

}  // namespace serenade::cuda
