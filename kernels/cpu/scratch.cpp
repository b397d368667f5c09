// Working memory of kernels (kernels/cpu/scratch.h).

#include "kernels/cpu/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace serenade::cpu {

namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

constexpr std::size_t kAlignment = 64;

}  // namespace

real* scratch(std::int64_t count) {
  static thread_local std::unique_ptr<void, Free> memory;
  static thread_local std::size_t capacity = 0;
  const std::size_t wanted = static_cast<std::size_t>(count) * sizeof(real);
  if (wanted > capacity) {
    memory.reset();
    capacity = 0;
    const std::size_t bytes = (wanted + kAlignment - 1) / kAlignment * kAlignment;
    memory.reset(std::aligned_alloc(kAlignment, bytes));
    if (memory == nullptr) throw std::bad_alloc();
    capacity = bytes;
  }
  return static_cast<real*>(memory.get());
}

}  // namespace serenade::cpu
