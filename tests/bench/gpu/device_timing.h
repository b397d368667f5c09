#pragma once
// Times on the device's own clock, and what the device can do at best: the floor of every row.

#include <functional>

namespace serenade::bench {

/// Median microseconds that `work` keeps the device busy, over `rounds` rounds of several calls.
double device_microseconds(const std::function<void()>& work, int rounds = 30);

/// What this device reaches, measured: copying global memory, float32 multiply-adds in registers,
/// TF32 products in the tensor cores (mma.sync).
struct DevicePeaks {
  double bytes_per_second = 0;
  double float32_flops = 0;
  double tf32_flops = 0;
};
DevicePeaks measure_peaks();

}  // namespace serenade::bench
