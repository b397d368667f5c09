// The host side of the emulated device: ordinary memory, watched while it is allocated.

#include "kernels/runtime/cuda/runtime.h"

#include <cstdlib>
#include <cstring>

#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {

const CudaDevice& device() {
  static const CudaDevice emulated{.usable = true,
                                   .reason = "",
                                   .name = "emulation",
                                   .compute_capability = 90,
                                   .multiprocessors = 4,
                                   .memory_bytes = 0,
                                   .driver_version = 0,
                                   .runtime_version = 0};
  return emulated;
}

void synchronize() {}
cudaStream_t current_stream() { return nullptr; }
int multiprocessors() { return device().multiprocessors; }

void copy_to_device(void* destination, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  std::memcpy(destination, source, bytes);
  emulation::Region* const region = emulation::find_region(destination);
  if (region != nullptr) region->fill_by_host(destination, bytes);
}

// Kernels run while they are "captured", so their constants are needed at once.
const void* captured_constant(const void*, std::size_t) { return nullptr; }

void clear(void* destination, std::size_t bytes) {
  if (bytes == 0) return;
  std::memset(destination, 0, bytes);
  emulation::Region* const region = emulation::find_region(destination);
  if (region != nullptr) region->fill_by_host(destination, bytes);
}

void copy_from_host(void* destination, const void* source, std::size_t bytes) {
  copy_to_device(destination, source, bytes);
}
void copy_to_host(void* destination, const void* source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}

// cudaMalloc aligns to 256 bytes.
void* system_allocate(std::size_t bytes) {
  return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
}
void system_free(void* block) { std::free(block); }

// What a block held before is gone: reading it before writing is a fault.
void on_block_allocated(void* block, std::size_t bytes) {
  std::memset(block, 0xFF, bytes);
  emulation::watch_memory(block, bytes, 0, "of " + std::to_string(bytes) + " bytes", false);
}
void on_zeroed_block_allocated(void* block, std::size_t bytes) {
  emulation::watch_memory(block, bytes, 0, "of " + std::to_string(bytes) + " zeroed bytes", true);
}
void on_block_freed(void* block) { emulation::forget_memory(block); }

void run_captured(CudaGraph& graph, const std::function<void()>& work) {
  clear_zeroed_blocks_anew();
  work();
  ++(graph.built == 0 ? graph.built : graph.updated);
}
void release_graph(CudaGraph& graph) { graph = {}; }

}  // namespace serenade::cuda
