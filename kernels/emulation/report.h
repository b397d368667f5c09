#pragma once
// What the emulation found wrong with a kernel, and where.

#include <stdexcept>
#include <string>

#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

enum class Fault {
  divergence,     // threads wait at different barriers, or some have left the kernel
  deadlock,       // nobody can go on
  race,           // two threads, one of them writing, with nothing that orders them
  missing_wait,   // memory is used while a cp.async copy into it is still under way
  unwritten,      // memory is read that nobody has written
  out_of_range,   // outside an array or a registered buffer
  misaligned,     // a vector access at an address that is no multiple of its size
  shared_memory,  // more shared memory than a block can have
  launch,         // a grid or block that the device would refuse
  warp            // a warp operation that reads from a lane that takes no part
};

const char* to_string(Fault fault);

/// Thrown by a launch. what() is one line: kernel, file and line of the kernel source, what
/// happened, and in which thread of which block.
class KernelError : public std::runtime_error {
 public:
  KernelError(Fault fault, std::string kernel, const SourceLocation& where,
              const std::string& what);

  Fault fault() const { return fault_; }
  const std::string& kernel() const { return kernel_; }
  const char* file() const { return where_.file_name(); }
  unsigned line() const { return where_.line(); }

 private:
  Fault fault_;
  std::string kernel_;
  SourceLocation where_;
};

/// Throws a KernelError about the kernel and the thread that run now.
[[noreturn]] void fail(Fault fault, const SourceLocation& where, const std::string& what);

/// "file:line"
std::string file_and_line(const SourceLocation& where);

/// "thread (x, y, z)" for the linear index of a thread in its block.
std::string thread_name(unsigned thread);

}  // namespace serenade::emulation
