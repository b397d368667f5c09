#pragma once
// Times on the device's own clock, and what the device can do at best: the floor of every row.

#include <cstddef>
#include <functional>
#include <vector>

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

/// Marks in the device's stream, also in steps that are being captured, and their times.
class DeviceMarks {
 public:
  /// The first mark is the beginning of time; the device must be idle then.
  explicit DeviceMarks(std::size_t most);
  ~DeviceMarks();
  DeviceMarks(const DeviceMarks&) = delete;
  DeviceMarks& operator=(const DeviceMarks&) = delete;

  /// When the device has done all that was launched before.
  void mark();
  /// Milliseconds of the marks so far. Waits for the device.
  std::vector<double> milliseconds() const;

 private:
  std::vector<void*> events_;
  std::size_t used_ = 0;
};

}  // namespace serenade::bench
