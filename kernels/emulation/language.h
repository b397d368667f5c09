#pragma once
// The words of CUDA C++ that kernels use, for a compiler that does not know them. Their meaning is
// that of the CUDA C++ Programming Guide; every one that can go wrong notes where it was called.

#include <math.h>  // not <cmath>: kernels call exp, fmaxf and the like without std::

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "kernels/emulation/block.h"
#include "kernels/emulation/pointer.h"
#include "kernels/emulation/source_location.h"
#include "kernels/emulation/warp.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace serenade::cuda {

using SourceLocation = emulation::SourceLocation;

// Barriers ---------------------------------------------------------------------------------------

inline void __syncthreads(SourceLocation where = SourceLocation::current()) {
  emulation::meet_block("__syncthreads", false, where);
}
inline int __syncthreads_count(int predicate, SourceLocation where = SourceLocation::current()) {
  return emulation::meet_block("__syncthreads_count", predicate != 0, where);
}
inline int __syncthreads_or(int predicate, SourceLocation where = SourceLocation::current()) {
  return emulation::meet_block("__syncthreads_or", predicate != 0, where) != 0;
}
inline int __syncthreads_and(int predicate, SourceLocation where = SourceLocation::current()) {
  return emulation::meet_block("__syncthreads_and", predicate == 0, where) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, SourceLocation where = SourceLocation::current()) {
  emulation::WarpRequest request{"__syncwarp", mask, where};
  request.orders_memory = true;
  emulation::meet_warp(request);
}

// Shuffles. `width` cuts the warp into independent groups; reading beyond one's group gives one's
// own value.

template <class T>
concept Number = std::is_arithmetic_v<T>;

template <Number T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              SourceLocation where = SourceLocation::current()) {
  const unsigned group = emulation::lane() & ~(static_cast<unsigned>(width) - 1);
  const unsigned from =
      group | (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return emulation::shuffle("__shfl_sync", mask, value, from, where);
}
template <Number T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 SourceLocation where = SourceLocation::current()) {
  const unsigned lane = emulation::lane();
  const unsigned from = lane % static_cast<unsigned>(width) < delta ? lane : lane - delta;
  return emulation::shuffle("__shfl_up_sync", mask, value, from, where);
}
template <Number T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   SourceLocation where = SourceLocation::current()) {
  const unsigned lane = emulation::lane(), size = static_cast<unsigned>(width);
  const unsigned from = lane % size + delta >= size ? lane : lane + delta;
  return emulation::shuffle("__shfl_down_sync", mask, value, from, where);
}
template <Number T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  SourceLocation where = SourceLocation::current()) {
  const unsigned lane = emulation::lane();
  const unsigned other = lane ^ static_cast<unsigned>(lane_mask);
  const unsigned last = lane | (static_cast<unsigned>(width) - 1);
  return emulation::shuffle("__shfl_xor_sync", mask, value, other <= last ? other : lane, where);
}

// Votes and reductions ---------------------------------------------------------------------------

struct BitOr {
  template <class T>
  T operator()(T a, T b) const {
    return a | b;
  }
};
struct BitAnd {
  template <class T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Sum {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              SourceLocation where = SourceLocation::current()) {
  const unsigned bit = predicate != 0 ? 1u << emulation::lane() : 0u;
  return emulation::reduce("__ballot_sync", mask, bit, BitOr{}, where);
}
inline int __any_sync(unsigned mask, int predicate,
                      SourceLocation where = SourceLocation::current()) {
  return emulation::reduce("__any_sync", mask, int{predicate != 0}, BitOr{}, where);
}
inline int __all_sync(unsigned mask, int predicate,
                      SourceLocation where = SourceLocation::current()) {
  return emulation::reduce("__all_sync", mask, int{predicate != 0}, BitAnd{}, where);
}
template <class T>
requires(std::same_as<T, int> || std::same_as<T, unsigned>) T
    __reduce_add_sync(unsigned mask, T value, SourceLocation where = SourceLocation::current()) {
  return emulation::reduce("__reduce_add_sync", mask, value, Sum{}, where);
}
template <class T>
requires(std::same_as<T, int> || std::same_as<T, unsigned>) T
    __reduce_min_sync(unsigned mask, T value, SourceLocation where = SourceLocation::current()) {
  return emulation::reduce("__reduce_min_sync", mask, value, Min{}, where);
}
template <class T>
requires(std::same_as<T, int> || std::same_as<T, unsigned>) T
    __reduce_max_sync(unsigned mask, T value, SourceLocation where = SourceLocation::current()) {
  return emulation::reduce("__reduce_max_sync", mask, value, Max{}, where);
}

// Atomics. They return the old value and order nothing.

template <class P>
struct PointedTo;
template <class T>
struct PointedTo<T*> {
  using Type = T;
};
template <class T>
struct PointedTo<emulation::CheckedPointer<T>> {
  using Type = T;
};
template <class T, std::size_t N>
struct PointedTo<emulation::SharedArray<T[N]>> {
  using Type = T;
};
template <class P>
using Pointee = typename PointedTo<P>::Type;

template <class P, class Combine>
Pointee<P> atomic_update(P pointer, Pointee<P> value, Combine combine,
                         const SourceLocation& where) {
  const emulation::CheckedPointer<Pointee<P>> target = pointer;
  emulation::check_access(emulation::AccessKind::atomic, target.region(), target.address(), where);
  emulation::count_spin(where);
  const Pointee<P> old = *target.address();
  *target.address() = combine(old, value);
  return old;
}

template <class P>
Pointee<P> atomicAdd(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(p, v, Sum{}, where);
}
template <class P>
Pointee<P> atomicMin(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(p, v, Min{}, where);
}
template <class P>
Pointee<P> atomicMax(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(p, v, Max{}, where);
}
template <class P>
Pointee<P> atomicOr(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(p, v, BitOr{}, where);
}
template <class P>
Pointee<P> atomicAnd(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(p, v, BitAnd{}, where);
}
template <class P>
Pointee<P> atomicExch(P p, Pointee<P> v, SourceLocation where = SourceLocation::current()) {
  return atomic_update(
      p, v, [](auto, auto wanted) { return wanted; }, where);
}
template <class P>
Pointee<P> atomicCAS(P p, Pointee<P> expected, Pointee<P> v,
                     SourceLocation where = SourceLocation::current()) {
  return atomic_update(
      p, v, [&](auto old, auto wanted) { return old == expected ? wanted : old; }, where);
}

// Memory -----------------------------------------------------------------------------------------

template <class P>
std::remove_const_t<Pointee<P>> __ldg(P pointer, SourceLocation where = SourceLocation::current()) {
  const emulation::CheckedPointer<Pointee<P>> from = pointer;
  emulation::check_access(emulation::AccessKind::read, from.region(), from.address(), where);
  return *from.address();
}

// Arithmetic -------------------------------------------------------------------------------------

template <Number T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <Number T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(std::uint64_t{a} * b >> 32);
}

}  // namespace serenade::cuda
