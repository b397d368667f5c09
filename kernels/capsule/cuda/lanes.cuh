#pragma once
// Routing in the lanes of a warp: a lane is one output capsule j of one input capsule and holds the
// vote for it, `size` values, in registers. The lanes of an input capsule are neighbours, `lanes`
// of them (a power of two, at least J), so that dot products need no other lane and the softmax
// over j takes two sums of log2(lanes) exchanges.

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {

/// `size` consecutive values that begin at a multiple of 16 bytes, or zeros.
template <int size>
__device__ __forceinline__ void load_capsule(real (&x)[size], AliasedPointer<const real> from,
                                             bool counts) {
  static_assert(size % 4 == 0);
  for (int o = 0; o < size; o += 4) {
    const Vec4 vec4 = counts ? load_vector<Vec4>(from + o) : Vec4{};
    for (int k = 0; k < 4; ++k) x[o + k] = vec4.value[k];
  }
}

template <int size>
__device__ __forceinline__ real dot(const real (&a)[size], const real (&b)[size]) {
  real sum = 0;
  for (int o = 0; o < size; ++o) sum += a[o] * b[o];
  return sum;
}

/// c of this lane's output capsule from its logit. Lanes of no output capsule get 0.
template <int lanes>
__device__ __forceinline__ real softmax_over(real logit, bool exists) {
  real largest = exists ? logit : real(-1e30);
  for (int step = 1; step < lanes; step *= 2) {
    largest = max(largest, real(__shfl_xor_sync(0xFFFFFFFFu, largest, step)));
  }
  const real e = exists ? exp(logit - largest) : real(0);
  return e * reciprocal(warp_reduce(e, lanes, Plus{}));  // of 1 .. lanes
}

/// What one iteration adds to the gradient of a vote: c ds + g e, where e is the sum of earlier v
/// and g the gradient of the logit.
struct alignas(2 * sizeof(real)) RoutingGradient {
  real c, g;
};

template <int lanes, int size>
__device__ __forceinline__ RoutingGradient routing_gradient(const real (&vote)[size],
                                                            const real (&earlier)[size],
                                                            const real (&ds)[size], bool exists) {
  const real c = softmax_over<lanes>(dot(vote, earlier), exists);
  const real dc = dot(vote, ds);
  return {c, c * (dc - warp_reduce(exists ? c * dc : real(0), lanes, Plus{}))};
}

/// The whole gradient of a vote. earlier, ds: this output capsule's in [R, ...], iteration t at
/// t * stride; uniform: c of iteration 1.
template <int lanes, int size>
__device__ __forceinline__ void vote_gradient(real (&dvote)[size], const real (&vote)[size],
                                              AliasedPointer<const real> earlier,
                                              AliasedPointer<const real> ds, int stride, int R,
                                              real uniform, bool exists, bool last_only) {
  for (int o = 0; o < size; ++o) dvote[o] = 0;
  for (int t = last_only ? R - 1 : 0; t < R; ++t) {
    real d[size], e[size];
    load_capsule(d, ds + t * stride, true);
    RoutingGradient by{uniform, 0};
    if (t > 0) {
      load_capsule(e, earlier + t * stride, true);
      by = routing_gradient<lanes>(vote, e, d, exists);
    }
    for (int o = 0; o < size; ++o) {
      dvote[o] += by.c * d[o];
      if (t > 0 && !last_only) dvote[o] += by.g * e[o];
    }
  }
}

/// Adds up each of the `size` values of x over the lanes that differ in the bits of `first_step`
/// and the log2(size) - log2(left) bits below it, halving x at each step: a lane sends the half
/// that its partner keeps. What is left are x[0 .. left), whose index before was left times the
/// bits.
template <int first_step, int size, int left>
__device__ __forceinline__ void add_up_halves(real (&x)[size], int lane) {
  int step = first_step;
  for (int half = size / 2; half >= left; half /= 2, step /= 2) {
    const bool upper = (lane & step) != 0;
    for (int o = 0; o < half; ++o) {
      const real sent = upper ? x[o] : x[o + half], kept = upper ? x[o + half] : x[o];
      x[o] = kept + __shfl_xor_sync(0xFFFFFFFFu, sent, step);
    }
  }
}

}  // namespace serenade::cuda
