#pragma once
// A fiber: a function that runs on a stack of its own, can stop in the middle and be continued
// later. Each thread of an emulated block is one.
//
// On x86-64 the switch is a dozen instructions that exchange the stack pointer and the registers a
// function call must preserve; swapcontext of glibc, the fallback elsewhere, also makes a system
// call for the signal mask and is ten times slower.

#include <cstddef>

#if !defined(__x86_64__)
#define SERENADE_FIBER_UCONTEXT
#endif
#ifdef SERENADE_FIBER_UCONTEXT
#include <ucontext.h>
#endif

namespace serenade::emulation {

class Fiber {
 public:
  using Body = void (*)(void* argument);

  /// Maps a stack with an unmapped page below it, so that overflowing it is a crash and no riddle.
  /// Neighbouring fibers should have different colours: stacks that begin at equal offsets would
  /// compete for the same lines of the caches.
  explicit Fiber(std::size_t colour);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() begins body(argument) on an empty stack. What a suspended body had there is
  /// forgotten without running destructors. The body must not throw, and ends in a suspend().
  void prepare(Body body, void* argument);

  /// Continues the fiber until it suspends.
  void resume();

  /// Called by the body: goes back to the caller of resume(). `last` says that the fiber will not
  /// be resumed again before the next prepare().
  void suspend(bool last = false);

 private:
  static void main();

  char* memory_ = nullptr;
  char* top_ = nullptr;
  Body body_ = nullptr;
  void* argument_ = nullptr;
#ifdef SERENADE_FIBER_UCONTEXT
  ucontext_t context_{}, caller_{};
#else
  void* stack_pointer_ = nullptr;
  void* caller_ = nullptr;
#endif
#ifdef __SANITIZE_ADDRESS__  // it has to know which stack is in use
  void* sanitizer_state_ = nullptr;
  const void* caller_bottom_ = nullptr;
  std::size_t caller_size_ = 0;
#endif
};

}  // namespace serenade::emulation
