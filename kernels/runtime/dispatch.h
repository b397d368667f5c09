#pragma once
// How a kernel is declared and how it is called.
//
// DECLARE_KERNEL(void f(...)) declares f twice, in namespaces serenade::cpu and serenade::cuda, so
// the two signatures cannot drift apart. It stands in namespace serenade, under the comment that
// gives the formula and the shape of every pointer.
//
// KERNEL(device, f, arguments...) calls the one or the other: the branch on the device for all
// layers. (What else they may ask about a device is in device.h.) A build without CUDA still
// type-checks the cuda call (the discarded branch of `if constexpr` in a function that is not a
// template) but never needs its definition: there are no stub files.

#include <stdexcept>
#include <string>

#include "kernels/runtime/device.h"
#include "kernels/runtime/real.h"

namespace serenade {

#ifdef SERENADE_WITH_CUDA
inline constexpr bool kHasCuda = true;
#else
inline constexpr bool kHasCuda = false;
#endif

[[noreturn]] inline void throw_without_cuda(const char* kernel) {
  throw std::runtime_error(std::string(kernel) + ": this build has no CUDA; use the cpu device");
}

}  // namespace serenade

#define DECLARE_KERNEL(...) \
  namespace cpu {           \
  __VA_ARGS__;              \
  }                         \
  namespace cuda {          \
  __VA_ARGS__;              \
  }                         \
  static_assert(true, "ask for a semicolon")

#define KERNEL(device, function, ...)            \
  do {                                           \
    if ((device) == ::serenade::Device::cpu) {   \
      ::serenade::cpu::function(__VA_ARGS__);    \
    } else if constexpr (::serenade::kHasCuda) { \
      ::serenade::cuda::function(__VA_ARGS__);   \
    } else {                                     \
      ::serenade::throw_without_cuda(#function); \
    }                                            \
  } while (false)
