#pragma once
// CUDA kernels on the CPU, for tests: the threads of a block are fibers, and every barrier, warp
// operation and access to shared or registered global memory is watched. README.md says what
// is found and what is not.
//
// Kernel sources include device_code.h, which comes here under g++. Tests also use
//   emulation::Buffer<T>        global memory, registered, with guard zones
//   emulation::in_every_order   runs something with the threads in forward, reverse, shuffled order
//   emulation::KernelError      what a launch throws: fault, kernel, file and line

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

#include "kernels/emulation/language.h"
#include "kernels/emulation/source_location.h"
#include "kernels/runtime/half.h"

namespace serenade::emulation {

/// The array behind SERENADE_SHARED; `key` is an object of its own per declaration (and per
/// instance of a template).
template <class Array>
SharedArray<Array> shared_array(const void* key, const char* name,
                                SourceLocation where = SourceLocation::current()) {
  static_assert(std::is_array_v<Array>, "shared memory comes as arrays; a single value is [1]");
  using Scalar = std::remove_all_extents_t<Array>;
  Region& region =
      shared_memory().array(key, name, sizeof(Array), alignof(Scalar), sizeof(Scalar), where);
  return {reinterpret_cast<Scalar*>(region.begin()), &region};
}

template <class T>
CheckedPointer<T> dynamic_shared(SourceLocation where = SourceLocation::current()) {
  Region& region = shared_memory().dynamic(where);
  return {reinterpret_cast<T*>(region.begin()), &region};
}

}  // namespace serenade::emulation

// The same words as in device_code.h, which says what they mean.
namespace serenade::cuda {

template <class T>
using GlobalPointer = emulation::CheckedPointer<T>;
template <class T>
using AliasedPointer = emulation::CheckedPointer<T>;
template <class T>
using SharedPointer = emulation::CheckedPointer<T>;

template <class Vector, class P>
Vector load_vector(P pointer, SourceLocation where = SourceLocation::current()) {
  const emulation::CheckedPointer<Pointee<P>> from = pointer;
  const auto* address = reinterpret_cast<const Vector*>(from.address());
  emulation::check_access(emulation::AccessKind::read, from.region(), address, where);
  return *address;
}

template <class Vector, class P>
void store_vector(P pointer, Vector v, SourceLocation where = SourceLocation::current()) {
  const emulation::CheckedPointer<Pointee<P>> to = pointer;
  auto* address = reinterpret_cast<Vector*>(to.address());
  emulation::check_access(emulation::AccessKind::write, to.region(), address, where);
  *address = v;
}

template <int Bytes, class To, class From>
void copy_async(To to_pointer, From from_pointer, bool inside = true,
                SourceLocation where = SourceLocation::current()) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  const emulation::CheckedPointer<Pointee<To>> to = to_pointer;
  const emulation::CheckedPointer<Pointee<From>> from = from_pointer;
  emulation::async_copies().begin(to.address(), to.region(), from.address(), from.region(), Bytes,
                                  inside, where);
}
inline void commit_copies() { emulation::async_copies().commit(); }
template <int Newest>
void wait_for_copies() {
  emulation::async_copies().wait(Newest);
}

inline float reciprocal(float x) { return 1 / x; }
inline double reciprocal(double x) { return 1 / x; }

// Adding half of the last kept bit to the magnitude rounds ties away from zero.
inline std::uint32_t to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  return finite ? (bits + 0x1000u) & 0xFFFFE000u : bits;
}

inline std::uint16_t to_half(float x) { return float_to_half(x); }
inline float from_half(std::uint16_t bits) { return half_to_float(bits); }

inline void mma_m16n8k8(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                        SourceLocation where = SourceLocation::current()) {
  emulation::MmaFragments fragments{d, a, b};
  emulation::WarpRequest request{"mma_m16n8k8", ~0u, where, &fragments,
                                 &emulation::mma_m16n8k8_warp};
  emulation::meet_warp(request);
}

template <class... Parameters, class... Arguments>
void launch(const char* name, SourceLocation where, void (*kernel)(Parameters...), dim3 grid,
            dim3 block, std::size_t shared_bytes, cudaStream_t, Arguments&&... arguments) {
  const std::tuple<Parameters...> parameters(static_cast<Parameters>(arguments)...);
  emulation::run_grid(name, where, grid, block, shared_bytes,
                      [&] { std::apply(kernel, parameters); });
}

}  // namespace serenade::cuda

#define SERENADE_UNROLL
#define SERENADE_UNROLL_BY(times)
#define SERENADE_SHARED(type, name, dimensions) \
  static const char name##_key = 0;             \
  const auto name = ::serenade::emulation::shared_array<type dimensions>(&name##_key, #name)
#define SERENADE_DYNAMIC_SHARED(type, name) \
  const auto name = ::serenade::emulation::dynamic_shared<type>()
#define SERENADE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                       \
  ::serenade::cuda::launch(#kernel, ::serenade::emulation::SourceLocation::current(), kernel, \
                           grid, block, shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__)
