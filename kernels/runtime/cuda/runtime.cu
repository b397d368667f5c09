// The host side of a real device, on the CUDA runtime. The library of the runtime is linked
// statically and asks for the driver at the first call, so a program with this inside also starts
// where there is none.

#include "kernels/runtime/cuda/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include "kernels/runtime/cuda/runtime_check.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {
namespace {

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

CudaDevice find_device() {
  CudaDevice found;
  cudaRuntimeGetVersion(&found.runtime_version);
  cudaDriverGetVersion(&found.driver_version);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (found.driver_version == 0) {
    found.reason = "no NVIDIA driver was found";
  } else if (error == cudaErrorInsufficientDriver) {
    found.reason = "the NVIDIA driver serves CUDA " + version(found.driver_version) +
                   ", and this program was built with " + version(found.runtime_version);
  } else if (error != cudaSuccess || count == 0) {
    found.reason = "the NVIDIA driver finds no GPU";
  } else {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "asking for the GPU's properties");
    found.name = properties.name;
    found.compute_capability = properties.major * 10 + properties.minor;
    found.multiprocessors = properties.multiProcessorCount;
    found.memory_bytes = properties.totalGlobalMem;
    found.usable = found.compute_capability >= SERENADE_CUDA_OLDEST;
    if (!found.usable) {
      found.reason = found.name + " has compute capability " + std::to_string(properties.major) +
                     "." + std::to_string(properties.minor) +
                     "; build for it with cmake -DCMAKE_CUDA_ARCHITECTURES=" +
                     std::to_string(found.compute_capability);
    }
  }
  cudaGetLastError();  // what was found wrong here is no error of a later call
  return found;
}

void require_device() {
  if (!device().usable) throw std::runtime_error("cuda: " + device().reason);
}

// Page-locked memory of the host, in two halves, each written from front to back. A copy from here
// runs in the stream, some time after the call that began it, and a captured graph reads it when it
// is launched; so a half is written again only when the stream has passed the point where it was
// left. By then that is long ago: the host does not wait.
class StagingArea {
 public:
  static constexpr std::size_t kHalf = std::size_t{8} << 20;

  bool fits(std::size_t bytes) const { return bytes <= kHalf - used_; }

  void* put(const void* source, std::size_t bytes) {
    if (memory_ == nullptr) {
      check(cudaHostAlloc(&memory_, 2 * kHalf, cudaHostAllocDefault), "page-locked memory");
    }
    void* slot = static_cast<char*>(memory_) + half_ * kHalf + used_;
    std::memcpy(slot, source, bytes);
    used_ = std::min(kHalf, used_ + (bytes + 255) / 256 * 256);
    return slot;
  }

  // For constants: offsets within the half in use.
  std::size_t used() const { return used_; }
  const void* at(std::size_t offset) const {
    return static_cast<const char*>(memory_) + half_ * kHalf + offset;
  }

  /// Not while the stream records.
  void take_other_half() {
    for (cudaEvent_t& left : left_) {
      if (left == nullptr) {
        check(cudaEventCreateWithFlags(&left, cudaEventDisableTiming), "making an event");
      }
    }
    check(cudaEventRecord(left_[half_], current_stream()), "running kernels");
    half_ = 1 - half_;
    used_ = 0;
    check(cudaEventSynchronize(left_[half_]), "running kernels");
  }

 private:
  void* memory_ = nullptr;
  int half_ = 0;
  std::size_t used_ = 0;
  cudaEvent_t left_[2] = {};
};

constexpr std::size_t kMaxCapturedBytes = StagingArea::kHalf / 2;  // bytes that a step may copy

std::mutex staging_mutex;
StagingArea staging;
bool capturing = false;  // inside run_captured
void* constants = nullptr;
std::size_t constants_begin = 0, constants_end = 0;  // in the staging area

}  // namespace

void begin_capture() {
  const std::lock_guard<std::mutex> lock(staging_mutex);
  if (!staging.fits(kMaxCapturedBytes)) staging.take_other_half();
  constants_begin = constants_end = staging.used();
  capturing = true;
}

void end_capture() { capturing = false; }

// The constants of a step lie in the staging area and, at the same distances, in one block of the
// device. Steps come one after the other in the stream, so one block serves all.
const void* captured_constant(const void* source, std::size_t bytes) {
  if (!capturing || bytes == 0) return nullptr;
  const std::lock_guard<std::mutex> lock(staging_mutex);
  if (!staging.fits(bytes) || staging.used() + bytes > constants_begin + kMaxCapturedBytes) {
    return nullptr;
  }
  if (constants == nullptr) {
    check(cudaMalloc(&constants, kMaxCapturedBytes), "allocating memory");
  }
  const std::size_t offset = staging.used() - constants_begin;
  staging.put(source, bytes);
  constants_end = constants_begin + offset + bytes;
  return static_cast<const char*>(constants) + offset;
}

void copy_captured_constants() {
  if (constants_end == constants_begin) return;
  check(cudaMemcpyAsync(constants, staging.at(constants_begin), constants_end - constants_begin,
                        cudaMemcpyHostToDevice, current_stream()),
        "copying to the device");
}

const CudaDevice& device() {
  static const CudaDevice found = find_device();
  return found;
}

cudaStream_t current_stream() {
  static const cudaStream_t stream = [] {
    require_device();
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    return made;
  }();
  return stream;
}

int multiprocessors() { return device().multiprocessors; }

void synchronize() { check(cudaStreamSynchronize(current_stream()), "running kernels"); }

void copy_to_device(void* destination, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard<std::mutex> lock(staging_mutex);
  if (!staging.fits(bytes)) {
    if (capturing) {
      throw std::runtime_error("cuda: a captured step copies more than 4 MB from the host; copy " +
                               std::to_string(bytes) + " bytes before it");
    }
    if (bytes > StagingArea::kHalf) {
      // From pageable memory the call returns once the source has been read.
      check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, current_stream()),
            "copying to the device");
      return;
    }
    staging.take_other_half();
  }
  check(cudaMemcpyAsync(destination, staging.put(source, bytes), bytes, cudaMemcpyHostToDevice,
                        current_stream()),
        "copying to the device");
}

void clear(void* destination, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(destination, 0, bytes, current_stream()), "clearing memory");
}

void copy_from_host(void* destination, const void* source, std::size_t bytes) {
  copy_to_device(destination, source, bytes);
}

void copy_to_host(void* destination, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, current_stream()),
        "copying from the device");
  check(cudaStreamSynchronize(current_stream()), "running kernels");
}

void* system_allocate(std::size_t bytes) {
  require_device();
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    // What the cache would free to make room may be in use by kernels that are only captured yet.
    if (capturing) throw std::bad_alloc();
    return nullptr;
  }
  check(error, "allocating memory");
  return block;
}

void system_free(void* block) { cudaFree(block); }
void on_block_allocated(void*, std::size_t) {}
void on_zeroed_block_allocated(void*, std::size_t) {}
void on_block_freed(void*) {}

}  // namespace serenade::cuda
