#include "tests/bench/gpu/device_timing.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

namespace {

constexpr int kThreads = 256, kRepeats = 4096, kChains = 8;

/// 2 kChains kRepeats operations per thread, with nothing to wait for but the arithmetic.
__global__ void __launch_bounds__(kThreads) multiply_add(GlobalPointer<float> out, float factor) {
  float sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = static_cast<float>(threadIdx.x + c);
  for (int i = 0; i < kRepeats; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) sum[c] = fmaf(sum[c], factor, factor);
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += sum[c];
  out[blockIdx.x * kThreads + threadIdx.x] = total;
}

/// 2 * 16 * 8 * 8 kChains kRepeats operations per warp.
__global__ void __launch_bounds__(kThreads) tensor_products(GlobalPointer<float> out, float value) {
  float d[kChains][4] = {};
  const std::uint32_t bits = to_tf32(value);
  const std::uint32_t a[4] = {bits, bits, bits, bits}, b[2] = {bits, bits};
  for (int i = 0; i < kRepeats / 16; ++i) {
#pragma unroll
    for (int c = 0; c < kChains; ++c) mma_m16n8k8(d[c], a, b);
  }
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += d[c][0] + d[c][1] + d[c][2] + d[c][3];
  out[blockIdx.x * kThreads + threadIdx.x] = total;
}

}  // namespace
}  // namespace serenade::cuda

namespace serenade::bench {

namespace {

void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

}  // namespace

double device_microseconds(const std::function<void()>& work, int rounds) {
  const cudaStream_t stream = cuda::current_stream();
  cudaEvent_t begin = nullptr, end = nullptr;
  require(cudaEventCreate(&begin));
  require(cudaEventCreate(&end));
  const auto measure = [&](int calls) {
    require(cudaEventRecord(begin, stream));
    for (int i = 0; i < calls; ++i) work();
    require(cudaEventRecord(end, stream));
    require(cudaEventSynchronize(end));
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, begin, end));
    return 1e3 * static_cast<double>(milliseconds) / calls;
  };
  measure(2);  // takes memory, loads code
  // Enough calls that launching the first one is hidden by the others.
  const int calls = std::clamp(static_cast<int>(2000 / std::max(1.0, measure(1))), 1, 100);
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) times.push_back(measure(calls));
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[static_cast<std::size_t>(rounds / 2)];
}

DevicePeaks measure_peaks() {
  DevicePeaks peaks;
  const std::int64_t bytes = std::int64_t{1} << 29;
  const cuda::DeviceArray<char> from(bytes), to(bytes);
  const double copy = device_microseconds([&] {
    require(cudaMemcpyAsync(to.data(), from.data(), static_cast<std::size_t>(bytes),
                            cudaMemcpyDeviceToDevice, cuda::current_stream()));
  });
  peaks.bytes_per_second = 2.0 * static_cast<double>(bytes) / copy * 1e6;

  const int blocks = 8 * cuda::multiprocessors();
  const cuda::DeviceArray<float> out(std::int64_t{blocks} * cuda::kThreads);
  const double threads = static_cast<double>(blocks) * cuda::kThreads;
  const double add = device_microseconds([&] {
    SERENADE_LAUNCH(cuda::multiply_add, blocks, cuda::kThreads, 0, cuda::current_stream(),
                    out.data(), 0.5f);
  });
  peaks.float32_flops = threads * 2 * cuda::kChains * cuda::kRepeats / add * 1e6;
  const double product = device_microseconds([&] {
    SERENADE_LAUNCH(cuda::tensor_products, blocks, cuda::kThreads, 0, cuda::current_stream(),
                    out.data(), 0.5f);
  });
  peaks.tf32_flops =
      threads / 32 * 2 * 16 * 8 * 8 * cuda::kChains * (cuda::kRepeats / 16.0) / product * 1e6;
  return peaks;
}

DeviceMarks::DeviceMarks(std::size_t most) : events_(most) {
  for (void*& event : events_) {
    cudaEvent_t made = nullptr;
    require(cudaEventCreate(&made));
    event = made;
  }
  mark();
}

DeviceMarks::~DeviceMarks() {
  for (void* event : events_) cudaEventDestroy(static_cast<cudaEvent_t>(event));
}

void DeviceMarks::mark() {
  const cudaStream_t stream = cuda::current_stream();
  cudaStreamCaptureStatus status{};
  require(cudaStreamIsCapturing(stream, &status));
  // External: an event of a captured graph that can be asked for its time.
  require(cudaEventRecordWithFlags(
      static_cast<cudaEvent_t>(events_.at(used_++)), stream,
      status == cudaStreamCaptureStatusActive ? cudaEventRecordExternal : cudaEventRecordDefault));
}

std::vector<double> DeviceMarks::milliseconds() const {
  cuda::synchronize();
  std::vector<double> times;
  for (std::size_t i = 0; i < used_; ++i) {
    float since_first = 0;
    require(cudaEventElapsedTime(&since_first, static_cast<cudaEvent_t>(events_[0]),
                                 static_cast<cudaEvent_t>(events_[i])));
    times.push_back(static_cast<double>(since_first));
  }
  return times;
}

}  // namespace serenade::bench
