#include "kernels/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef SERENADE_FIBER_UCONTEXT
// void serenade_switch_stack(void** save, void* load): pushes what the System V ABI has a function
// preserve, stores the stack pointer in *save, takes the other one and pops the same from there.
extern "C" void serenade_switch_stack(void** save, void* load);
asm(R"(
.text
.p2align 4
.type serenade_switch_stack,@function
serenade_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size serenade_switch_stack, .-serenade_switch_stack
)");
#endif

namespace serenade::emulation {
namespace {

constexpr std::size_t kPage = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = 64 * kPage;  // instrumented frames are several times larger
#else
constexpr std::size_t kStackBytes = 16 * kPage;
#endif

Fiber* running = nullptr;

}  // namespace

Fiber::Fiber(std::size_t colour) {
  void* memory = mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  mprotect(memory_, kPage, PROT_NONE);
  top_ = memory_ + kPage + kStackBytes - (colour % 16) * 256;
}

Fiber::~Fiber() { munmap(memory_, kStackBytes + kPage); }

void Fiber::main() {
  Fiber& self = *running;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &self.caller_bottom_, &self.caller_size_);
#endif
  self.body_(self.argument_);
  std::abort();  // a body ends in suspend(true)
}

void Fiber::prepare(Body body, void* argument) {
  body_ = body;
  argument_ = argument;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(memory_ + kPage, kStackBytes);
#endif
#ifdef SERENADE_FIBER_UCONTEXT
  getcontext(&context_);
  context_.uc_stack.ss_sp = memory_ + kPage;
  context_.uc_stack.ss_size = static_cast<std::size_t>(top_ - memory_) - kPage;
  context_.uc_link = nullptr;
  makecontext(&context_, &Fiber::main, 0);
#else
  // As if main() had been called and had switched away in its first instruction: six registers, the
  // address to return to, and a return address of main() that nobody uses.
  void** slot = reinterpret_cast<void**>(top_) - 8;
  for (int i = 0; i < 8; ++i) slot[i] = nullptr;
  slot[6] = reinterpret_cast<void*>(&Fiber::main);
  stack_pointer_ = slot;
#endif
}

void Fiber::resume() {
  running = this;
#ifdef __SANITIZE_ADDRESS__
  void* state = nullptr;
  __sanitizer_start_switch_fiber(&state, memory_ + kPage, kStackBytes);
#endif
#ifdef SERENADE_FIBER_UCONTEXT
  swapcontext(&caller_, &context_);
#else
  serenade_switch_stack(&caller_, stack_pointer_);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(state, nullptr, nullptr);
#endif
}

void Fiber::suspend([[maybe_unused]] bool last) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(last ? nullptr : &sanitizer_state_, caller_bottom_, caller_size_);
#endif
#ifdef SERENADE_FIBER_UCONTEXT
  swapcontext(&context_, &caller_);
#else
  serenade_switch_stack(&stack_pointer_, caller_);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(sanitizer_state_, &caller_bottom_, &caller_size_);
#endif
}

}  // namespace serenade::emulation
