#pragma once
// The values of a spectrogram as they lie in memory: float, or the bits of a half.

#include <cstdint>

#include "kernels/runtime/cuda/device_code.h"
#include "kernels/spectrogram/spectrogram.h"

namespace serenade::cuda {

__device__ __forceinline__ float to_float(float stored) { return stored; }
__device__ __forceinline__ float to_float(std::uint16_t stored) { return from_half(stored); }

template <class Stored>
__device__ __forceinline__ Stored stored_as(float number) {
  if constexpr (sizeof(Stored) == 2) {
    return to_half(number);
  } else {
    return number;
  }
}

/// Calls f(a null pointer to what the format stores), for f to take the type from.
template <class F>
void with_stored(SpectrogramFormat format, F f) {
  if (format == SpectrogramFormat::float16) {
    f(static_cast<std::uint16_t*>(nullptr));
  } else {
    f(static_cast<float*>(nullptr));
  }
}

}  // namespace serenade::cuda
