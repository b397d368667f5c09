#pragma once
// What the tests of CUDA kernels share. The same tests run twice: under the emulation, in every
// order of the threads, and on a real device (make test-gpu), ten times.

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/runtime/memory.h"
#include "kernels/runtime/real.h"

namespace serenade::test {

using Values = std::vector<real>;

/// An array on the device.
template <class T>
class DeviceVector {
 public:
  /// Not initialised: for outputs that a kernel overwrites. The emulation reports who reads them.
  explicit DeviceVector(std::size_t count) : count_(count) {
    void* memory = nullptr;
    cuda::allocate(&memory, count * sizeof(T));
    data_ = static_cast<T*>(memory);
  }
  explicit DeviceVector(const std::vector<T>& values) : DeviceVector(values.size()) {
    cuda::copy_from_host(data_, values.data(), count_ * sizeof(T));
  }
  ~DeviceVector() { cuda::release(data_); }
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::vector<T> values() const {
    std::vector<T> host(count_);
    cuda::copy_to_host(host.data(), data_, count_ * sizeof(T));
    return host;
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

using DeviceValues = DeviceVector<real>;

/// Runs `f` in every order of the threads (or ten times on a device), checks that all runs give
/// the same bits, and returns what they gave.
Values run_repeatedly(const std::function<Values()>& f);

/// |actual - expected| / |expected|, Euclidean norms; the plain norm where expected is zero.
double relative_error(const Values& actual, const Values& expected);

/// Largest relative error that a kernel may have beside the CPU's: rounding alone.
inline constexpr double kForwardTolerance = sizeof(real) == 8 ? 1e-13 : 1e-5;
inline constexpr double kGradientTolerance = sizeof(real) == 8 ? 1e-12 : 1e-4;

/// Standard normal values, the same for the same seed.
Values random_values(std::int64_t count, std::uint64_t seed);

}  // namespace serenade::test
