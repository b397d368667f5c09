// Working memory of kernels (kernels/runtime/cpu/scratch.h).

#include "kernels/runtime/cpu/scratch.h"

#include <memory>

#include "kernels/runtime/memory.h"

namespace serenade::cpu {

namespace {

struct Release {
  void operator()(void* memory) const { release(memory); }
};

}  // namespace

real* scratch(std::int64_t count) {
  static thread_local std::unique_ptr<void, Release> memory;
  static thread_local std::int64_t capacity = 0;
  if (count > capacity) {
    memory.reset();
    capacity = 0;
    void* block = nullptr;
    allocate(&block, static_cast<std::size_t>(count) * sizeof(real));
    memory.reset(block);
    capacity = count;
  }
  return static_cast<real*>(memory.get());
}

}  // namespace serenade::cpu
